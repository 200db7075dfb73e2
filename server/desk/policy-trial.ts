import { dayMs } from "../../shared/durations.ts";
import { createJudge } from "../domain/create-judge.ts";
import type { BanDecision, Judge, Memory } from "../domain/judge.ts";
import { horizonsOf, type Policy } from "../domain/policy.ts";
import { rememberedBans } from "../store/bans.ts";
import { countRecorded, failureBefore, failuresSince, type RecordedFailure } from "../store/failure-lists.ts";
import { currentPolicy } from "../store/policies.ts";
import { standingRules } from "../store/rules.ts";
import type { Sql } from "../store/sql.ts";
import { rememberedQuarantines, tenantFacts } from "../store/tenants.ts";
import type { PolicyTrial, TrialBan, TrialProgress } from "./policy-views.ts";

/** A trial judges every failure twice; so many take some ten seconds. More: the newest are taken. */
export const trialFailuresMax = 1_000_000;
/** Failures judged at a time: in between others have their turn. */
const pageRows = 5000;
/** Bans shown one by one; the counts are of all. */
const shownMax = 20;

/**
 * Runs what was recorded through the policy in force and through another, each on a judge of its own that starts from
 * the bans of that time. Lists and tenants are those of now; what people did in the meantime is left out.
 */
export async function tryPolicy(
  sql: Sql,
  policy: Policy,
  days: number,
  nowMs: number,
  progress: (progress: TrialProgress) => void = () => undefined,
): Promise<PolicyTrial> {
  const wantedMs = nowMs - days * dayMs;
  const cutMs = await failureBefore(sql, wantedMs, trialFailuresMax);
  const fromMs = cutMs === null ? wantedMs : cutMs + 1;
  const { policy: inForce } = await currentPolicy(sql);
  const bansMs = Math.max(horizonsOf(inForce).bansMs, horizonsOf(policy).bansMs);
  const memory = await memoryAt(sql, fromMs, bansMs);
  const before = new Run(createJudge(inForce, { memory, nowMs: fromMs }));
  const after = new Run(createJudge(policy, { memory, nowMs: fromMs }));
  const total = await countRecorded(sql, fromMs);
  let failures = 0;
  for await (const page of failuresSince(sql, fromMs, pageRows)) {
    for (const failure of page) {
      before.take(failure);
      after.take(failure);
    }
    failures += page.length;
    progress({ done: failures, total: Math.max(total, failures) });
  }
  return { days, failures, truncated: cutMs !== null, fromMs, ...compare(before, after) };
}

async function memoryAt(sql: Sql, fromMs: number, bansMs: number): Promise<Memory> {
  const rules = await standingRules(sql);
  const bans = (await rememberedBans(sql, fromMs - bansMs)).filter((ban) => ban.startMs < fromMs);
  return {
    tenants: await tenantFacts(sql),
    allows: rules.filter((rule) => rule.kind === "allow"),
    nevers: rules.filter((rule) => rule.kind === "never"),
    quarantines: await rememberedQuarantines(sql),
    bans: bans.map((ban) => ((ban.endMs ?? 0) > fromMs ? { ...ban, endMs: null, endReason: null } : ban)),
    ...{ failures: [], settled: [], held: [], lastBanId: 0 },
  };
}

/** One judge on its way through the recorded failures. */
class Run {
  readonly bans = new Map<string, TrialBan[]>();
  count = 0;
  readonly #judge: Judge;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  take({ receivedMs, ...failure }: RecordedFailure): void {
    for (const decision of this.#judge.apply({ kind: "failure", ...failure }, receivedMs).decisions) {
      if (decision.kind === "ban") this.#note(decision);
    }
  }

  #note({ net, scope, atMs, level, untilMs, reason }: BanDecision): void {
    const ban = { net, scope, atMs, level: level ?? 0, untilMs, reason };
    const key = `${scope} ${net}`;
    const known = this.bans.get(key);
    if (known === undefined) this.bans.set(key, [ban]);
    else known.push(ban);
    this.count += 1;
  }
}

type Changed = PolicyTrial["changes"]["first"][number];

function compare(
  before: Run,
  after: Run,
): Pick<PolicyTrial, "bansBefore" | "bansAfter" | "adds" | "removes" | "changes"> {
  const adds: TrialBan[] = [];
  const removes: TrialBan[] = [];
  const changes: Changed[] = [];
  for (const key of new Set([...before.bans.keys(), ...after.bans.keys()])) {
    const [olds, news] = [before.bans.get(key) ?? [], after.bans.get(key) ?? []];
    // The same net in the same scope, first with first: what is left over on one side is more, or fewer, bans.
    for (let index = 0; index < Math.max(olds.length, news.length); index += 1) {
      const [old, next] = [olds[index], news[index]];
      if (old === undefined && next !== undefined) adds.push(next);
      else if (next === undefined && old !== undefined) removes.push(old);
      else if (old !== undefined && next !== undefined && !same(old, next)) changes.push({ before: old, after: next });
    }
  }
  return {
    bansBefore: before.count,
    bansAfter: after.count,
    adds: { count: adds.length, first: firstOf(adds, (ban) => ban.atMs) },
    removes: { count: removes.length, first: firstOf(removes, (ban) => ban.atMs) },
    changes: { count: changes.length, first: firstOf(changes, (change) => change.before.atMs) },
  };
}

function same(one: TrialBan, other: TrialBan): boolean {
  return one.level === other.level && lengthOf(one) === lengthOf(other);
}

function lengthOf({ atMs, untilMs }: TrialBan): number | null {
  return untilMs === null ? null : untilMs - atMs;
}

function firstOf<T>(items: readonly T[], atMs: (item: T) => number): T[] {
  return items.toSorted((one, other) => atMs(one) - atMs(other)).slice(0, shownMax);
}
