import assert from "node:assert/strict";
import type { z } from "zod";
import type { Net } from "../../shared/address.ts";
import { dayMs, hourMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { defaultPolicyDocument, PolicyDocument } from "./policy-document.ts";

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

/**
 * Reads a policy, complete or partial: what it does not say is as in `defaultPolicyDocument`.
 *
 * @param value  parsed YAML or JSON; null or undefined = all defaults
 * @param place  named in errors, for example the file
 * @throws Fleet2banError `invalid`, one line per mistake, each naming the setting and the remedy
 */
export function parsePolicy(value: unknown, place: string): Policy {
  const merged = lay(value ?? {}, defaultPolicyDocument);
  const read = PolicyDocument.safeParse(merged);
  if (!read.success) {
    throw new Fleet2banError("invalid", read.error.issues.map((issue) => sentenceOf(issue, merged, place)).join("\n"));
  }
  const { jails, spread, ladder, fleet, networks, limits, ...rest } = read.data;
  const defaultJail = jailPolicy(jails.default ?? {}, { findtimeMs: hourMs, maxretry: 3, ports: null });
  const others = Object.entries(jails).filter(([name]) => name !== "default");
  const policy: Policy = {
    ...rest,
    defaultJail,
    jails: new Map(others.map(([name, jail]) => [name, jailPolicy(jail, defaultJail)])),
    spread: spread && { hosts: spread.hosts, findtimeMs: spread.findtime },
    ladder: readLadder(ladder, place),
    fleet: { tenants: fleet.tenants, withinMs: fleet.within, minTenantAgeMs: fleet.minTenantAge },
    networks: { 4: networkPolicy(networks.ipv4), 6: networkPolicy(networks.ipv6) },
    limits: { ...limits, widestBan: { 4: limits.widestBan.ipv4, 6: limits.widestBan.ipv6 } },
  };
  checkWidths(policy, place);
  return policy;
}

type JailDocument = z.output<typeof PolicyDocument>["jails"][string];
function jailPolicy(jail: JailDocument, fallback: JailPolicy): JailPolicy {
  return {
    findtimeMs: jail.findtime ?? fallback.findtimeMs,
    maxretry: jail.maxretry ?? fallback.maxretry,
    ports: jail.ports === undefined ? fallback.ports : jail.ports,
  };
}

function networkPolicy(network: z.output<typeof PolicyDocument>["networks"]["ipv4"]): NetworkPolicy | null {
  if (network === null) return null;
  const { within, ...rest } = network;
  return { ...rest, withinMs: within };
}

function readLadder(ladder: z.output<typeof PolicyDocument>["ladder"], place: string): Policy["ladder"] {
  const [first, ...higher] = ladder.map((rung, level): Rung => {
    if (level === 0) return { banTimeMs: rung.bantime, after: 0, withinMs: 0 };
    if (rung.after === undefined || rung.within === undefined) {
      const missing = rung.after === undefined ? "after" : "within";
      const example = `{ bantime: 1d, after: 3, within: 7d }`;
      throw new Fleet2banError("invalid", `${place}: ladder[${level}].${missing} is missing; write ${example}`);
    }
    return { banTimeMs: rung.bantime, after: rung.after, withinMs: rung.within };
  });
  assert(first !== undefined, "the schema asks for one rung");
  return [first, ...higher];
}

/** The policy itself may not ban wider than one admin may. */
function checkWidths(policy: Policy, place: string): void {
  for (const family of [4, 6] as const) {
    const widest = policy.limits.widestBan[family];
    const network = policy.networks[family];
    const subject = family === 4 ? 32 : policy.ipv6Prefix;
    if (subject < widest) {
      const remedy = `write ${widest} or more, or a smaller limits.widestBan.ipv6`;
      throw new Fleet2banError(
        "invalid",
        `${place}: ipv6Prefix: /${subject} is wider than limits.widestBan.ipv6; ${remedy}`,
      );
    }
    if (network === null || (network.prefix >= widest && network.prefix < subject)) continue;
    const bounds = `must lie from limits.widestBan.ipv${family} (${widest}) to ${subject - 1} (got ${network.prefix})`;
    const remedy = `change it, or write networks.ipv${family}: null to ban no networks`;
    throw new Fleet2banError("invalid", `${place}: networks.ipv${family}.prefix: ${bounds}; ${remedy}`);
  }
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The whole document that a partial one stands for; not checked. */
export function withDefaults(value: unknown): unknown {
  return lay(value ?? {}, defaultPolicyDocument);
}

/** `value` laid over `base`: mappings setting by setting, anything else replaces. */
function lay(value: unknown, base: unknown): unknown {
  if (!isMapping(value) || !isMapping(base)) return value;
  // fromEntries defines own properties, so a key named __proto__ stays a key (and is refused as one).
  const entries = Object.entries(value).map(([key, each]) => [
    key,
    Object.hasOwn(base, key) ? lay(each, base[key]) : each,
  ]);
  return { ...base, ...Object.fromEntries(entries) };
}

/** `policy.yaml: jails.sshd.maxretry: must be a whole number from 1 to 1000 (got 0)` */
function sentenceOf(issue: z.core.$ZodIssue, document: unknown, place: string): string {
  const path = issue.path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const setting = path.replace(/^\./, "");
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.map((key) => (setting === "" ? key : `${setting}.${key}`)).join(", ");
    return `${place}: ${keys}: there is no such setting; correct its name or remove it`;
  }
  const got = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null)?.[key],
    document,
  );
  const shown = got === undefined ? "it is missing" : `got ${JSON.stringify(got)?.slice(0, 100)}`;
  const what =
    issue.code === "invalid_type" && issue.message.startsWith("Invalid input")
      ? "must be a group of settings"
      : issue.message;
  return setting === "" ? `${place}: ${what} (${shown})` : `${place}: ${setting}: ${what} (${shown})`;
}
