import { formatNet, type Net, subjectOf } from "../../shared/address.ts";
import type { Counted, Memory } from "../domain/judge.ts";
import { horizonsOf, type Policy } from "../domain/policy.ts";
import { heldBans, lastBanId, rememberedBans, settledSince } from "./bans.ts";
import { rememberedFailures, rememberedFailuresOf } from "./failures.ts";
import { currentPolicy } from "./policies.ts";
import { standingRules } from "./rules.ts";
import type { Sql } from "./sql.ts";
import { rememberedQuarantines, tenantFacts } from "./tenants.ts";

/** Everything a new judge needs in order to decide as the one before it. Run in one transaction: one view of all tables. */
export async function loadMemory(sql: Sql, policy: Policy, nowMs: number): Promise<Memory> {
  const horizons = horizonsOf(policy);
  const rules = await standingRules(sql);
  return {
    tenants: await tenantFacts(sql),
    allows: rules.filter((rule) => rule.kind === "allow"),
    nevers: rules.filter((rule) => rule.kind === "never"),
    quarantines: await rememberedQuarantines(sql),
    bans: await rememberedBans(sql, nowMs - horizons.bansMs),
    failures: await rememberedFailures(sql, nowMs - horizons.failuresMs),
    settled: await settledSince(sql, nowMs - horizons.failuresMs),
    held: await heldBans(sql),
    lastBanId: await lastBanId(sql),
  };
}

/** Of one address what counts for the judge: its failures, with those of the network it is counted with. */
export async function countedOf(sql: Sql, address: Net, nowMs: number): Promise<Counted> {
  const { policy } = await currentPolicy(sql);
  const sinceMs = nowMs - horizonsOf(policy).failuresMs;
  const subject = formatNet(subjectOf(address, policy.ipv6Prefix));
  const settled = await settledSince(sql, sinceMs);
  return {
    failures: await rememberedFailuresOf(sql, subject, sinceMs),
    settled: settled.filter(({ net }) => net === subject),
  };
}
