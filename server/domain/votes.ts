import type { Ban } from "./ban-book.ts";
import { sumEvidence } from "./evidence.ts";
import type { Evidence } from "./judge.ts";
import type { Policy } from "./policy.ts";
import type { Tenant } from "./tenants.ts";

/** The votes for a fleet ban of one subject that count now. Votes are the tenant bans that were made as such. */
export type Tally = Readonly<{
  tenants: readonly string[];
  evidence: Evidence;
  /** What the votes' own bans close, if every one of them is bounded; null = every port. */
  ports: readonly number[] | null;
}>;

/**
 * Counts the votes. A tenant counts once, and only if it is old enough now, may vote and is not quarantined. A vote is
 * gone when its ban was lifted as a mistake or by the tenant's own allow, when it is too old, or when a fleet ban by
 * votes came after it.
 *
 * @param bans  every ban of exactly the subject, oldest first
 */
export function tallyVotes(
  bans: readonly Ban[],
  tenantOf: (name: string) => Tenant,
  fleet: Policy["fleet"],
  nowMs: number,
): Tally {
  const usedUp = bans.findLast((ban) => ban.scope === "fleet" && ban.reason === "votes")?.id ?? 0;
  const votes = new Map<string, Ban>();
  for (const ban of bans) {
    if (!ban.vote || ban.id < usedUp || nowMs - ban.startMs > fleet.withinMs) continue;
    if (ban.endReason === "false-positive" || ban.endReason === "allowed") continue;
    const tenant = tenantOf(ban.scope.slice("tenant:".length));
    const old = nowMs - tenant.createdAtMs >= fleet.minTenantAgeMs;
    if (old && tenant.trust === "vote" && !tenant.quarantined) votes.set(tenant.name, ban);
  }
  const counted = [...votes.values()];
  const ports = counted.map((ban) => ban.ports);
  return {
    tenants: [...votes.keys()],
    evidence: sumEvidence(counted.map((ban) => ban.evidence)),
    ports: ports.includes(null) ? null : [...new Set(ports.flatMap((each) => each ?? []))],
  };
}
