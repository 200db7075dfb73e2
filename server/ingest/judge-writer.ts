import { dayMs } from "../../shared/durations.ts";
import type { Order, Scope } from "../../shared/order.ts";
import { createJudge } from "../domain/create-judge.ts";
import type { Decision, Fact, Judge, Outcome } from "../domain/judge.ts";
import type { Logger } from "../logger.ts";
import type { Author } from "../store/bans.ts";
import { createFailureDays, endOfDayAfter } from "../store/failures.ts";
import { checkFence, takeFence } from "../store/fence.ts";
import { loadMemory } from "../store/memory.ts";
import type { Store } from "../store/open-store.ts";
import { type OrderStretch, ordersSince, revisions } from "../store/orders.ts";
import { currentPolicy } from "../store/policies.ts";
import type { Sql } from "../store/sql.ts";
import { type Step, writeDecisions } from "./write-decisions.ts";

/**
 * Where a test may pull the plug. After `committed` the database has everything and nobody has been told; after
 * `forgotten` the bus has been told and no agent.
 */
export type FaultPoint = "begun" | "worked" | "written" | "committed" | "forgotten";

export type JudgeWriterOptions = Readonly<{
  store: Store;
  now: () => number;
  log: Logger;
  partition?: number;
  /**
   * Hears of everything that was committed, each order once and in the sequence of the revisions: for the bus and the
   * metrics. After a failure it also hears, without decisions, of orders whose commit could not be confirmed.
   */
  committed?: (commit: Commit) => void;
  fault?: (point: FaultPoint) => void;
}>;

export type Commit = Readonly<{ atMs: number; decisions: readonly Decision[]; orders: readonly OrderStretch[] }>;

/** One transaction with the judge in it. */
export type Turn = Readonly<{
  sql: Sql;
  /** The clock of this turn: it never goes back from one turn to the next. */
  nowMs: number;
  judge: Judge;
  /** Tells the judge a fact; what it decides is written at the end of the turn. */
  apply(fact: Fact): Outcome;
  /** An order that no decision of the judge stands for, at this place of the log. */
  order(scope: Scope, order: Order): void;
  /** Has the judge built anew after this turn: its policy has changed. */
  renew(): void;
}>;

export type JudgeWriter = AsyncDisposable &
  Readonly<{
    /**
     * Runs one turn after all earlier ones: the facts' decisions, their orders and whatever else `work` writes are
     * committed together or not at all. When anything fails the judge is thrown away and rebuilt from the database.
     *
     * @param author  who asked for it; null: nobody, the policy decides
     */
    turn<T>(author: Author | null, work: (turn: Turn) => Promise<T>): Promise<Readonly<{ result: T; commit: Commit }>>;
    /** Asks the judge between two turns. */
    ask<T>(question: (judge: Judge, nowMs: number) => T): Promise<T>;
    /** Reads what is committed, without waiting for a turn. */
    read<T>(question: (sql: Sql) => Promise<T>): Promise<T>;
    /** Ends after the turns that were asked for. */
    close(): Promise<void>;
  }>;

type Bench = Readonly<{ judge: Judge; policyVersion: number }>;

/**
 * The one sequencer: ingest, admins and the clock take turns here, so that the judge sees one sequence of facts and the
 * order logs are written by one hand. Takes over from any earlier coordinator of the partition.
 */
export async function openJudgeWriter(options: JudgeWriterOptions): Promise<JudgeWriter> {
  const { store, log, partition = 0, fault = () => undefined } = options;
  const fence = await takeFence(store, partition);
  /** By scope, the last revision `committed` was told of. */
  const told = await revisions(store);
  let latestMs = 0;
  /** Failures that arrive before then have a table to go to. */
  let readyUntilMs = 0;
  let bench: Bench | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const clock = (): number => {
    latestMs = Math.max(latestMs, options.now());
    return latestMs;
  };
  const tell = (commit: Commit): void => {
    for (const { scope, from, orders } of commit.orders) told.set(scope, from + orders.length);
    options.committed?.(commit);
  };
  const queued = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };

  const build = async (): Promise<Bench> => {
    const nowMs = clock();
    const { policyVersion, policy, memory, missed } = await store.transaction(async (sql) => {
      // Waits for a transaction of ours whose connection was lost while it committed, then sees what became of it.
      await checkFence(sql, partition, fence, true);
      const { version, policy } = await currentPolicy(sql);
      const memory = await loadMemory(sql, policy, nowMs);
      return { policyVersion: version, policy, memory, missed: await missedOrders(sql, told) };
    });
    // After the transaction: nobody else writes, and the database must not wait for seconds of our work.
    const built: Bench = { judge: createJudge(policy, { memory, nowMs }), policyVersion };
    if (missed.length > 0) tell({ atMs: nowMs, decisions: [], orders: missed });
    log.info({ ...built.judge.size(), policyVersion: built.policyVersion }, "built the judge from the database");
    return built;
  };

  const run = async <T>(author: Author | null, work: (turn: Turn) => Promise<T>) => {
    bench ??= await build();
    const { judge, policyVersion } = bench;
    const nowMs = clock();
    const steps: Step[] = [];
    // A request that was wrong from the start has told the judge nothing, and must not cost a rebuild.
    let isTouched = false;
    let isRenewed = false;
    const renew = (): void => {
      isRenewed = true;
    };
    const apply = (fact: Fact): Outcome => {
      isTouched = true;
      const outcome = judge.apply(fact, nowMs);
      for (const decision of outcome.decisions) steps.push({ kind: "decision", decision });
      return outcome;
    };
    const order = (scope: Scope, each: Order): void => {
      isTouched = true;
      steps.push({ kind: "order", scope, order: each });
    };
    try {
      const done = await store.transaction(async (sql) => {
        await checkFence(sql, partition, fence);
        fault("begun");
        if (readyUntilMs < nowMs + dayMs) await createFailureDays(sql, nowMs);
        const result = await work({ sql, nowMs, judge, apply, order, renew });
        fault("worked");
        const orders = await writeDecisions(sql, steps, { policyVersion, author, nowMs });
        fault("written");
        return { result, orders };
      });
      readyUntilMs = Math.max(readyUntilMs, endOfDayAfter(nowMs));
      if (isRenewed) bench = undefined;
      fault("committed");
      const decisions = steps.flatMap((step) => (step.kind === "decision" ? [step.decision] : []));
      const commit = { atMs: nowMs, decisions, orders: done.orders };
      tell(commit);
      return { result: done.result, commit };
    } catch (error) {
      if (isTouched) bench = undefined;
      throw error;
    }
  };

  const close = async (): Promise<void> => {
    await last;
  };
  bench = await build();
  return {
    turn: (author, work) => queued(() => run(author, work)),
    ask: (question) =>
      queued(async () => {
        bench ??= await build();
        return question(bench.judge, clock());
      }),
    read: (question) => question(store),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Orders that are in the database and that nobody was told of: their commit's answer got lost. */
async function missedOrders(sql: Sql, told: ReadonlyMap<Scope, number>): Promise<OrderStretch[]> {
  const missed: OrderStretch[] = [];
  for (const [scope, revision] of await revisions(sql)) {
    const known = told.get(scope) ?? 0;
    const stretch = known < revision ? await ordersSince(sql, scope, known, revision - known) : undefined;
    if (stretch !== undefined) missed.push(stretch);
  }
  return missed;
}
