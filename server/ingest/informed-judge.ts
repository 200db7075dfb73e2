import { Fleet2banError } from "../../shared/errors.ts";
import type { Decision, Fact, Judge } from "../domain/judge.ts";
import { partitionCount } from "../domain/partition.ts";
import type { Author } from "../store/bans.ts";
import { deedsSince, holdSequencer, insertDeed, type SharedDeed } from "../store/deeds.ts";
import type { OrderStretch } from "../store/orders.ts";
import type { Share } from "../store/shares.ts";
import type { Sql } from "../store/sql.ts";
import { type Step, writeDecisions } from "./write-decisions.ts";

/** A judge, and up to where it knows what others did. */
export type InformedJudge = {
  readonly coordinator: number;
  readonly judge: Judge;
  readonly policyVersion: number;
  /** What we judge, as of the last turn. */
  share: Share;
  /** The last deed this judge knows of, its own included. */
  position: number;
};

/** What a turn came to, before it is written. */
export type Turned = Readonly<{
  steps: readonly Step[];
  facts: readonly Fact[];
  /** The judges do not know what has changed and must be built anew. */
  isRenewed: boolean;
  author: Author | null;
  nowMs: number;
  /** The last number of a ban before this turn, as far as the judge knew. */
  firstId: number;
}>;
export type Written = Readonly<{
  position: number;
  decisions: readonly Decision[];
  orders: readonly OrderStretch[];
}>;

/** The turn must begin again: with a new judge, or while nobody else judges. Nothing of it was written. */
export class OutdatedError extends Fleet2banError {
  readonly remedy: "rebuild" | "alone";

  constructor(remedy: "rebuild" | "alone") {
    super("unavailable", "another coordinator was faster each time; it is tried again");
    this.remedy = remedy;
  }
}

/** Deeds of one answer of the database are followed at once; as many times are enough for an hour of them. */
const roundsMax = 100;

/**
 * Makes the judge decide about what is held now.
 *
 * @returns whether that is less than before
 * @throws OutdatedError when it is more: a judge that gets a partition must have seen its failures
 */
export function adjust(informed: InformedJudge, held: Share): boolean {
  for (const [partition, fence] of held)
    if (informed.share.get(partition) !== fence) throw new OutdatedError("rebuild");
  if (held.size === informed.share.size) return false;
  informed.share = held;
  informed.judge.keepOnly(new Set(held.keys()));
  return true;
}

/**
 * Makes the judge remember what others did since. One that owns everything has nobody to follow.
 *
 * @throws OutdatedError when that needs a new judge
 */
export async function follow(sql: Sql, informed: InformedJudge, followed: (deed: SharedDeed) => void): Promise<void> {
  if (informed.share.size === partitionCount) return;
  for (let round = 0; round < roundsMax; round += 1) {
    const deeds = await deedsSince(sql, informed.position);
    for (const { position, coordinator, deed } of deeds) {
      // Some are forgotten already: we were away for long.
      if (position !== informed.position + 1) throw new OutdatedError("rebuild");
      if (deed.renew) throw new OutdatedError("rebuild");
      informed.position = position;
      if (coordinator === informed.coordinator) continue;
      informed.judge.follow(deed);
      followed(deed);
    }
    if (deeds.length === 0) return;
  }
  throw new OutdatedError("rebuild");
}

/**
 * Of the brake's limit. When no more is left, coordinators judge one after the other: together they could make more
 * fleet bans than it allows. A storm that uses this up within one turn of each costs one of them its judge.
 */
const brakeReserve = 0.1;

export function mayOvertake({ share, judge }: InformedJudge, nowMs: number): boolean {
  const { count, limit } = judge.brake(nowMs);
  return share.size < partitionCount && count >= limit * (1 - brakeReserve);
}

/** Writes what a turn came to and, when others judge too, what they must know of it. */
export async function writeTurn(
  sql: Sql,
  informed: InformedJudge,
  turned: Turned,
  followed: (deed: SharedDeed) => void,
): Promise<Written> {
  const { steps, facts, isRenewed, author, nowMs, firstId } = turned;
  const { coordinator, policyVersion, judge } = informed;
  const context = { policyVersion, author, nowMs };
  if (informed.share.size === partitionCount) {
    const orders = await writeDecisions(sql, steps, context);
    return { position: informed.position, decisions: decisionsOf(steps), orders };
  }
  if (steps.length === 0 && facts.length === 0 && !isRenewed) {
    return { position: informed.position, decisions: [], orders: [] };
  }
  const lastId = await holdSequencer(sql);
  const numbered = steps.map((step) => renumbered(step, firstId, lastId));
  judge.renumber(lastId);
  await follow(sql, informed, followed);
  const decisions = decisionsOf(numbered);
  checkBrake(judge, decisions, nowMs);
  const orders = await writeDecisions(sql, numbered, context);
  const position = informed.position + 1;
  // Who must read the tables anew needs nothing else, and what was erased from them must not go on living here.
  const told = isRenewed ? { facts: [], decisions: [], orders: [] } : { facts, decisions, orders };
  const deed = { atMs: nowMs, ...told, renew: isRenewed };
  await insertDeed(sql, { position, coordinator, deed });
  return { position, decisions, orders };
}

/** @throws OutdatedError when others banned so much during this turn that the brake was on before our last ban */
function checkBrake(judge: Judge, decisions: readonly Decision[], nowMs: number): void {
  const { count, limit } = judge.brake(nowMs);
  const isOurs = (each: Decision) => each.kind === "ban" && each.level !== null && each.scope === "fleet";
  if (count > limit && decisions.some(isOurs)) throw new OutdatedError("alone");
}

function decisionsOf(steps: readonly Step[]): readonly Decision[] {
  return steps.flatMap((step) => (step.kind === "decision" ? [step.decision] : []));
}

/** Others have numbered bans during the turn: ours come after theirs. */
function renumbered(step: Step, firstId: number, lastId: number): Step {
  if (step.kind === "order" || firstId === lastId) return step;
  const { decision } = step;
  if ((decision.kind !== "ban" && decision.kind !== "unban") || decision.id <= firstId) return step;
  return { kind: "decision", decision: { ...decision, id: decision.id - firstId + lastId } };
}
