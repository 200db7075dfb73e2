import { dayMs } from "../../shared/durations.ts";
import { horizonsOf } from "../domain/policy.ts";
import { pruneApprovals } from "../store/approvals.ts";
import { pruneAudit } from "../store/audit.ts";
import { pruneBans, pruneStopped } from "../store/bans.ts";
import { pruneCursors } from "../store/cursors.ts";
import { dropDays } from "../store/day-tables.ts";
import { countedDays, pruneFailureCounts } from "../store/failure-counts.ts";
import { pruneLocalBans } from "../store/local-bans.ts";
import { pruneOrders } from "../store/orders.ts";
import { currentPolicy } from "../store/policies.ts";
import type { Sql } from "../store/sql.ts";
import { pruneEnrollmentTokens } from "../store/tokens.ts";

/**
 * How long each kind of personal data is kept. The policy may need failures and bans for longer: what it still judges
 * by is never forgotten before.
 */
export const retention = {
  /** Raw evidence, with its sample lines. */
  failuresMs: 7 * dayMs,
  /** How often which subject was seen where, by day. */
  countsMs: countedDays * dayMs,
  /** Refused and decided bans, what a second admin was asked for, hosts' own ended bans. */
  incidentsMs: 30 * dayMs,
  /** The ladder's last rung looks back so far. */
  bansMs: 180 * dayMs,
  /** What feeds banned and is over; nothing looks back on it, and a list's whole contents may come and go every day. */
  feedBansMs: 7 * dayMs,
  auditMs: 365 * dayMs,
  /** An agent that was away for longer gets a snapshot. */
  ordersMs: 7 * dayMs,
  /** A batch of an older life of an agent is not delivered any more. */
  cursorsMs: 30 * dayMs,
} as const;

export type Pruned = Readonly<
  Record<"failureDays" | "countedDays" | "stopped" | "localBans" | "bans" | "audit" | "orders", number>
>;

/** Forgets what is older than its retention. May run at any time and as often as one likes. */
export async function prune(sql: Sql, nowMs: number): Promise<Pruned> {
  const { policy } = await currentPolicy(sql);
  const needed = horizonsOf(policy);
  await pruneCursors(sql, nowMs - retention.cursorsMs);
  await pruneEnrollmentTokens(sql, nowMs - retention.incidentsMs);
  await pruneApprovals(sql, nowMs - retention.incidentsMs);
  return {
    failureDays: await dropDays(sql, "failures", nowMs - Math.max(retention.failuresMs, needed.failuresMs)),
    countedDays: await pruneFailureCounts(sql, nowMs - retention.countsMs),
    stopped: await pruneStopped(sql, nowMs - Math.max(retention.incidentsMs, needed.failuresMs)),
    localBans: await pruneLocalBans(sql, nowMs - retention.incidentsMs),
    bans: await pruneBans(sql, nowMs - Math.max(retention.bansMs, needed.bansMs), nowMs - retention.feedBansMs),
    audit: await pruneAudit(sql, nowMs - retention.auditMs),
    orders: await pruneOrders(sql, nowMs - retention.ordersMs),
  };
}
