import { dayMs } from "../../shared/durations.ts";
import type { Order, Scope } from "../../shared/order.ts";
import { createJudge } from "../domain/create-judge.ts";
import type { Decision, Fact, Judge, Outcome } from "../domain/judge.ts";
import { partitionCount } from "../domain/partition.ts";
import type { Logger } from "../logger.ts";
import type { Author } from "../store/bans.ts";
import type { Cursors } from "../store/cursors.ts";
import { lastDeed, type SharedDeed } from "../store/deeds.ts";
import { createFailureDays, endOfDayAfter } from "../store/failures.ts";
import { loadMemory } from "../store/memory.ts";
import type { Store } from "../store/open-store.ts";
import { missedOrders, type OrderStretch, revisions } from "../store/orders.ts";
import { currentPolicy } from "../store/policies.ts";
import { checkLeads, holdShare, newCoordinatorId, readShare, takeEverything } from "../store/shares.ts";
import { readOneMoment, type Sql } from "../store/sql.ts";
import {
  adjust,
  follow,
  type InformedJudge,
  mayOvertake,
  OutdatedError,
  type Turned,
  writeTurn,
} from "./informed-judge.ts";
import { TurnQueue } from "./turn-queue.ts";
import type { Step } from "./write-decisions.ts";

/**
 * Where a test may pull the plug. After `judged` the next turn may be judged as well; after `committed` the database has
 * everything and nobody has been told; after `forgotten` the bus has been told and no agent.
 */
export type FaultPoint = "begun" | "judged" | "worked" | "written" | "committed" | "forgotten";

export type JudgeWriterOptions = Readonly<{
  store: Store;
  now: () => number;
  log: Logger;
  /** The id under which this coordinator shares the work of the one that leads. Absent: it leads, and takes over all. */
  sharer?: number;
  /** Hears which partitions are ours from now on; null = all. */
  shared?: (share: ReadonlySet<number> | null) => void;
  /**
   * Hears of everything that was committed, each order once and in the sequence of the revisions: for the bus and the
   * metrics; also of what other coordinators committed. After a failure it also hears, without decisions, of orders whose
   * commit could not be confirmed.
   */
  committed?: (commit: Commit) => void;
  fault?: (point: FaultPoint) => void;
}>;

export type Commit = Readonly<{
  atMs: number;
  decisions: readonly Decision[];
  orders: readonly OrderStretch[];
  /** The turn of another coordinator, which we follow, with the facts it was told. */
  followed?: readonly Fact[];
}>;

/** One transaction with the judge in it. */
export type Turn = Readonly<{
  sql: Sql;
  /** The clock of this turn: it never goes back from one turn to the next. */
  nowMs: number;
  judge: Judge;
  /** The partitions this coordinator decides about; null = all. */
  share: ReadonlySet<number> | null;
  /** Tells the judge a fact; what it decides is written at the end of the turn. */
  apply(fact: Fact): Outcome;
  /** An order that no decision of the judge stands for, at this place of the log. */
  order(scope: Scope, order: Order): void;
  /** Has the judge built anew after this turn: its policy has changed. */
  renew(): void;
  /** What the turn before has moved, while it is not committed yet: the database still has the cursors before it. */
  moved: Cursors | undefined;
  /**
   * In a turn that overlaps others: the judge has been told all of it. Waits until the turn before is committed and lets
   * the next one begin, which sees these cursors and nothing else of what this one writes.
   *
   * @throws OutdatedError when the turn before failed: what the judge was told since is void
   */
  judged(moved: Cursors): Promise<void>;
  /** Resolves when the turn before has copied its failures: two copies at once get into each other's way at a table's end. */
  copiedBefore: Promise<void>;
  /** The next turn may copy its own. */
  copied(): void;
}>;

export type JudgeWriter = AsyncDisposable &
  Readonly<{
    /**
     * Runs one turn after all earlier ones: the facts' decisions, their orders and whatever else `work` writes are
     * committed together or not at all. When anything fails the judge is thrown away and rebuilt from the database.
     *
     * `work` may run more than once: another coordinator may have been faster.
     *
     * @param author  who asked for it; null: nobody, the policy decides
     * @param binds   it binds every coordinator, so no other judges meanwhile; what an author asks for always does
     */
    turn<T>(
      author: Author | null,
      work: (turn: Turn) => Promise<T>,
      binds?: boolean,
    ): Promise<Readonly<{ result: T; commit: Commit }>>;
    /**
     * A turn that may begin while the one before is still being written: it is committed after that one or not at all.
     * Where others judge too it takes its turn like any other.
     */
    overlap<T>(work: (turn: Turn) => Promise<T>): Promise<Readonly<{ result: T; commit: Commit }>>;
    /** Resolves when a turn that overlaps would begin at once. */
    free(): Promise<void>;
    /** Asks the judge between two turns. */
    ask<T>(question: (judge: Judge, nowMs: number) => T): Promise<T>;
    /** Reads what is committed, without waiting for a turn. */
    read<T>(question: (sql: Sql) => Promise<T>): Promise<T>;
    /** Under which it owns partitions. */
    coordinator: number;
    /** Of how many it was the owner at its last turn. */
    partitions(): number;
    /** Whether others judge some of the partitions. */
    isShared(): boolean;
    /** Ends after the turns that were asked for. */
    close(): Promise<void>;
  }>;

/** Tries of one turn: after the first others may have changed hands with us, and the last runs alone. */
const triesMax = 5;

/**
 * Ingest, admins and the clock take turns here, so that the judge sees one sequence of facts. Several coordinators each
 * have a writer with its share of the partitions; what binds all of them they learn at the start of each turn. One that
 * leads takes over from any earlier coordinator.
 */
export async function openJudgeWriter(options: JudgeWriterOptions): Promise<JudgeWriter> {
  const { store, log, sharer, fault = () => undefined } = options;
  const coordinator = sharer ?? (await newCoordinatorId(store));
  if (sharer === undefined) await takeEverything(store, coordinator);
  /** By scope, the last revision `committed` was told of. */
  const told = await revisions(store);
  let latestMs = 0;
  /** Failures that arrive before then have a table to go to. */
  let readyUntilMs = 0;
  let informed: InformedJudge | undefined;
  let isShared = false;
  const queue = new TurnQueue();

  const clock = (): number => {
    latestMs = Math.max(latestMs, options.now());
    return latestMs;
  };
  const tell = (commit: Commit): void => {
    for (const { scope, from, orders } of commit.orders) told.set(scope, from + orders.length);
    options.committed?.(commit);
  };
  const tellFollowed = ({ atMs, decisions, orders, facts }: SharedDeed): void =>
    tell({ atMs, decisions, orders, followed: facts });
  const announce = ({ share }: InformedJudge): void => {
    isShared = share.size < partitionCount;
    options.shared?.(isShared ? new Set(share.keys()) : null);
  };

  const build = async (): Promise<InformedJudge> => {
    const nowMs = clock();
    // Waits for a transaction of ours whose connection was lost while it committed, so that we see what became of it.
    await store.transaction((sql) => holdShare(sql, coordinator, "settle"));
    const { missed, memory, policy, ...read } = await store.transaction(async (sql) => {
      await readOneMoment(sql);
      const share = await readShare(sql, coordinator);
      if (sharer === undefined) checkLeads(share);
      const { version: policyVersion, policy } = await currentPolicy(sql);
      const memory = await loadMemory(sql, policy, nowMs);
      return {
        share,
        position: await lastDeed(sql),
        policyVersion,
        policy,
        memory,
        missed: await missedOrders(sql, told),
      };
    });
    // After the transaction: the database must not wait for seconds of our work.
    const share = read.share.size < partitionCount ? new Set(read.share.keys()) : null;
    const built: InformedJudge = { ...read, coordinator, judge: createJudge(policy, { memory, nowMs, share }) };
    if (missed.length > 0) tell({ atMs: nowMs, decisions: [], orders: missed });
    announce(built);
    const fields = { ...built.judge.size(), policyVersion: built.policyVersion, partitions: read.share.size };
    log.info(fields, "built the judge from the database");
    return built;
  };

  const attempt = async <T>(
    ours: InformedJudge,
    author: Author | null,
    work: (turn: Turn) => Promise<T>,
    alone: boolean,
    next?: () => void,
  ) => {
    const nowMs = clock();
    const { judge } = ours;
    const among = queue.begin(next);
    const judged = async (moved: Cursors): Promise<void> => {
      await among.before();
      fault("judged");
      // Others who judge must be followed before the next turn is.
      if (ours.share.size === partitionCount) among.letOn(moved);
    };
    const steps: Step[] = [];
    const facts: Fact[] = [];
    // A request that was wrong from the start has told the judge nothing, and must not cost a rebuild.
    let isTouched = false;
    let isRenewed = false;
    const renew = (): void => {
      isRenewed = true;
    };
    const apply = (fact: Fact): Outcome => {
      isTouched = true;
      const outcome = judge.apply(fact, nowMs);
      if (fact.kind !== "failure" && fact.kind !== "tick") facts.push(fact);
      for (const decision of outcome.decisions) steps.push({ kind: "decision", decision });
      return outcome;
    };
    const order = (scope: Scope, each: Order): void => {
      isTouched = true;
      steps.push({ kind: "order", scope, order: each });
    };
    try {
      const done = await store.transaction(async (sql) => {
        const held = await holdShare(sql, coordinator, alone ? "alone" : "judge");
        if (sharer === undefined) checkLeads(held);
        if (adjust(ours, held)) announce(ours);
        await follow(sql, ours, tellFollowed);
        if (!alone && mayOvertake(ours, nowMs)) throw new OutdatedError("alone");
        fault("begun");
        if (readyUntilMs < nowMs + dayMs) await createFailureDays(sql, nowMs);
        const firstId = judge.begin();
        const share = held.size < partitionCount ? new Set(held.keys()) : null;
        const { moved, copiedBefore, copied } = among;
        const result = await work({
          sql,
          nowMs,
          judge,
          share,
          apply,
          order,
          renew,
          moved,
          judged,
          copiedBefore,
          copied,
        });
        await among.before();
        fault("worked");
        const turned: Turned = { steps, facts, isRenewed, author, nowMs, firstId };
        const written = await writeTurn(sql, ours, turned, tellFollowed);
        fault("written");
        return { result, written };
      });
      readyUntilMs = Math.max(readyUntilMs, endOfDayAfter(nowMs));
      const { position, decisions, orders } = done.written;
      ours.position = position;
      if (isRenewed) informed = undefined;
      fault("committed");
      const commit = { atMs: nowMs, decisions, orders };
      tell(commit);
      among.committed();
      return { result: done.result, commit };
    } catch (error) {
      const isOutdated = isTouched || (error instanceof OutdatedError && error.remedy === "rebuild");
      if (isOutdated && informed === ours) informed = undefined;
      among.failed();
      throw error;
    }
  };

  const run = async <T>(author: Author | null, work: (turn: Turn) => Promise<T>, binds: boolean, next?: () => void) => {
    let alone = binds;
    for (let tries = 1; ; tries += 1) {
      informed ??= await build();
      try {
        return await attempt(informed, author, work, alone || mayOvertake(informed, clock()), next);
      } catch (error) {
        if (!(error instanceof OutdatedError) || tries === triesMax) throw error;
        alone ||= error.remedy === "alone";
        log.debug({ remedy: error.remedy }, "another coordinator was faster, the turn begins again");
      }
    }
  };

  const close = async (): Promise<void> => {
    await queue.alone(async () => undefined);
  };
  informed = await build();
  return {
    turn: (author, work, binds = author !== null) => queue.alone(() => run(author, work, binds)),
    overlap: (work) => {
      const may = () => informed?.share.size === partitionCount;
      return queue.overlapping(may, (next) => run(null, work, false, next));
    },
    free: () => queue.free(),
    ask: (question) =>
      queue.alone(async () => {
        informed ??= await build();
        return question(informed.judge, clock());
      }),
    read: (question) => question(store),
    coordinator,
    partitions: () => informed?.share.size ?? 0,
    isShared: () => isShared,
    close,
    [Symbol.asyncDispose]: close,
  };
}
