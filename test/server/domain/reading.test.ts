import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { jsonLineOf } from "../../../server/cli/replay-output.ts";
import { createJudge } from "../../../server/domain/create-judge.ts";
import { type Policy, parsePolicy } from "../../../server/domain/policy.ts";
import { type Line, Reading } from "./reading.ts";
import { day, decide, type Event, hour, start } from "./story.ts";

/** Numbers so small, and spans so alike, that everything happens often and at its last second. */
const policy = parsePolicy(
  {
    jails: {
      default: { findtime: "1m" },
      sshd: { findtime: "10m" },
      dovecot: { findtime: "30m", maxretry: 2, ports: [143, 993] },
    },
    spread: { hosts: 3, findtime: "4h" },
    ladder: [{ bantime: "10m" }, { bantime: "30m", after: 2, within: "2h" }, { bantime: "1h", after: 2, within: "1d" }],
    fleet: { tenants: 2, within: "2h" },
    networks: {
      ipv4: { prefix: 24, subjects: 3, within: "10m", maxLevel: 1 },
      ipv6: { prefix: 56, subjects: 2, within: "10m", maxLevel: 1 },
    },
    limits: { fleetBansPerMinute: 1 },
  },
  "policy",
);

const addresses = [
  ...["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3", "::ffff:192.0.2.1"],
  ...["198.51.100.7", "198.51.100.8", "10.0.0.1", "nobody", "010.0.0.1", "::ffff:10.0.0.1"],
  ...["2001:db8::1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:0:100::1"],
];
const nets = [
  ...["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.0/24", "::ffff:192.0.2.2/128", "192.0.0.0/16"],
  ...["2001:db8::/64", "2001:db8::/64", "2001:db8::/56", "2001:db8::1"],
];
const scopes = ["fleet", "fleet", "tenant:a", "tenant:a", "tenant:b"];
/** Around every span of the policy, on both sides of its last second. */
const steps = [
  ...[0, 0, 0, 0, 0, 0, 1, 1, 1, 30, 59, 60, 61, 61, 600, 600, 601, 1799, 1800, 1800, 1801],
  ...[hour - 1, hour, hour + 1, 2 * hour, day - 1, day, day + 1, 7 * day],
];

const failures = fc.record({
  kind: fc.constant("failure"),
  tenant: fc.constantFrom("a", "a", "b", "c", "young", undefined),
  host: fc.constantFrom("h1", "h2", "h3", "h4"),
  jail: fc.constantFrom("sshd", "sshd", "dovecot", "nginx"),
  ip: fc.constantFrom(...addresses),
  count: fc.constantFrom(1, 1, 1, 2, 3, undefined),
});
const acts = fc.oneof(
  fc.record({ kind: fc.constant("allow"), net: fc.constantFrom(...nets), tenant: fc.constantFrom("a", undefined) }),
  fc.record({ kind: fc.constant("never"), net: fc.constantFrom("192.0.2.3", "2001:db8:0:1::9", "198.51.100.0/24") }),
  fc.record({
    kind: fc.constant("ban"),
    net: fc.constantFrom(...nets),
    scope: fc.constantFrom(...scopes),
    bantime: fc.constantFrom(null, 1, hour, day),
  }),
  fc.record({ kind: fc.constant("tick") }),
);
const unbans = fc.record({
  kind: fc.constant("unban"),
  net: fc.constantFrom(...nets),
  scope: fc.constantFrom(...scopes),
  reason: fc.constantFrom("admin", "admin", "false-positive", "allowed"),
});
const arbitraryEvents = fc
  .array(
    fc.tuple(
      fc.constantFrom(...steps),
      fc.oneof({ weight: 20, arbitrary: failures }, { weight: 1, arbitrary: acts }, { weight: 4, arbitrary: unbans }),
    ),
    { minLength: 20, maxLength: 80, size: "max" },
  )
  .map((parts) => {
    let at = start + 30 * day;
    const declared: Event[] = ["a", "b", "c"].map((tenant) => ({ at: start, kind: "tenant", tenant, trust: "vote" }));
    const young = { at: start, kind: "tenant", tenant: "young", trust: "vote", createdAt: start + 28 * day };
    const told = parts.map(([step, part]): Event => {
      at += step;
      return { at, ...part };
    });
    return [...declared, young, ...told];
  });

function asReplayed(events: readonly Event[], rules: Policy): Line[] {
  return decide(createJudge(rules), events).flatMap((decision) => {
    if (decision.kind === "quarantine" || decision.kind === "mistake") return [];
    const { why: _, ...line } = JSON.parse(jsonLineOf(decision));
    return [line];
  });
}

function asRead(events: readonly Event[], rules: Policy): Line[] {
  const reading = new Reading(rules);
  for (const event of events) reading.take(event);
  return reading.lines;
}

test("the judge decides as the design reads, for whatever happens in the order of time", () => {
  fc.assert(
    fc.property(arbitraryEvents, (events) => {
      assert.deepEqual(asReplayed(events, policy), asRead(events, policy));
    }),
    { numRuns: Number(process.env.FLEET2BAN_READINGS ?? 300) },
  );
});
