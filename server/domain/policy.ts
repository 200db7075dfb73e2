import type { Net } from "../../shared/address.ts";
import { dayMs, hourMs } from "../../shared/durations.ts";

/** All thresholds of the judgement, checked and with spans in milliseconds. `parsePolicy` is the only maker. */
export type Policy = Readonly<{
  /** Settings of a jail the policy does not name. */
  defaultJail: JailPolicy;
  jails: ReadonlyMap<string, JailPolicy>;
  /** null = off. */
  spread: Readonly<{ hosts: number; findtimeMs: number }> | null;
  ladder: readonly [Rung, ...Rung[]];
  fleet: Readonly<{ tenants: number; withinMs: number; minTenantAgeMs: number }>;
  ipv6Prefix: number;
  /** By family; null = off. */
  networks: Readonly<Record<4 | 6, NetworkPolicy | null>>;
  limits: Readonly<{
    /** By family: the shortest prefix one admin alone, or the policy, may ban. */
    widestBan: Readonly<Record<4 | 6, number>>;
    agent: Readonly<{ subjectsPerMinute: number; subjectsPerDay: number }>;
    fleetBansPerMinute: number;
  }>;
  reserved: readonly Net[];
}>;

/** `ports` null = every port. */
export type JailPolicy = Readonly<{ findtimeMs: number; maxretry: number; ports: readonly number[] | null }>;
/** The ladder's first rung needs no history: its `after` is 0. */
export type Rung = Readonly<{ banTimeMs: number; after: number; withinMs: number }>;
export type NetworkPolicy = Readonly<{ prefix: number; subjects: number; withinMs: number; maxLevel: number }>;

/**
 * How late a failure may arrive and still count. An agent cut off for a day delivers what it saw; older failures are
 * history, not danger, and each day of lateness would double the memory the windows need.
 */
export const lateMsMax = dayMs;

/** How far back the judge looks. Failures are kept a little longer than needed, because late ones may still join them. */
export function horizonsOf(policy: Policy): Readonly<{ failuresMs: number; bansMs: number }> {
  const findtimes = [policy.defaultJail, ...policy.jails.values()].map((jail) => jail.findtimeMs);
  const failuresMs = Math.max(...findtimes, policy.spread?.findtimeMs ?? 0, dayMs) + lateMsMax;
  const withins = [...policy.ladder, policy.networks[4], policy.networks[6], policy.fleet].map(
    (rule) => rule?.withinMs ?? 0,
  );
  return { failuresMs, bansMs: Math.max(...withins, failuresMs) + hourMs };
}
