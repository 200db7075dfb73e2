import fc from "fast-check";
import type { Fact } from "../../../server/domain/judge.ts";
import { parsePolicy } from "../../../server/domain/policy.ts";
import type { Scope } from "../../../shared/order.ts";
import { start } from "./story.ts";

/** Thresholds so low that short random stories meet every rule. */
export const smallPolicy = parsePolicy(
  {
    jails: { default: { maxretry: 2, findtime: "10m" }, sshd: { maxretry: 3, ports: [22] } },
    spread: { hosts: 3, findtime: "2h" },
    ladder: [{ bantime: "5m" }, { bantime: "20m", after: 2, within: "2h" }, { bantime: "1h", after: 2, within: "1d" }],
    fleet: { tenants: 2, within: "1h", minTenantAge: "1h" },
    networks: { ipv4: { subjects: 2, within: "30m" }, ipv6: { subjects: 2, within: "30m" } },
    limits: { agent: { subjectsPerMinute: 3, subjectsPerDay: 6 }, fleetBansPerMinute: 2 },
  },
  "small policy",
);

export const addresses = [
  "192.0.2.1",
  "192.0.2.2",
  "192.0.2.3",
  "198.51.100.1",
  "203.0.113.1",
  "2001:db8::1",
  "2001:db8::2",
  "2001:db8:0:1::1",
  "2001:db8:0:2::1",
] as const;
const nets = [...addresses, "192.0.2.0/24", "192.0.2.0/30", "192.0.0.0/16", "2001:db8::/64", "2001:db8::/56", "::/0"];

const address = fc.constantFrom(...addresses, "10.0.0.1", "not an address");
const net = fc.constantFrom(...nets);
const tenant = fc.constantFrom("default", "a", "b", "c");
const scope = fc.constantFrom<Scope>("fleet", "tenant:a", "tenant:b", "tenant:default");

type Step = Readonly<{ fact: Fact; nowMs: number }>;

const failureFact = fc.record({
  kind: fc.constant("failure" as const),
  /** Seconds before (or after) now; turned into a date below. */
  atMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: -90_000, max: 60 })),
  tenant,
  host: fc.constantFrom("h1", "h2", "h3", "h4"),
  jail: fc.constantFrom("sshd", "nginx"),
  address,
  count: fc.integer({ min: 1, max: 2 }),
});
const otherFact: fc.Arbitrary<Fact> = fc.oneof(
  fc.record({
    kind: fc.constant("tenant" as const),
    tenant,
    trust: fc.constantFrom("full" as const, "vote" as const),
    createdAtMs: fc.constantFrom(Number.NEGATIVE_INFINITY, start * 1000),
  }),
  fc.record({
    kind: fc.constant("allow" as const),
    net,
    tenant: fc.option(tenant),
    add: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("never" as const),
    net: fc.constantFrom(...addresses, "192.0.2.0/30"),
    add: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("ban" as const),
    net,
    scope,
    banTimeMs: fc.constantFrom(null, 60_000, 3_600_000),
    ports: fc.constant(null),
  }),
  fc.record({
    kind: fc.constant("unban" as const),
    net,
    scope,
    reason: fc.constantFrom("admin" as const, "false-positive" as const),
  }),
  fc.record({ kind: fc.constantFrom("release" as const, "drop" as const), net, scope }),
  fc.record({
    kind: fc.constant("quarantine" as const),
    tenant,
    host: fc.option(fc.constantFrom("h1", "h2")),
    on: fc.boolean(),
  }),
  fc.constant({ kind: "tick" as const }),
);
const voters = ["a", "b", "c"].map(
  (name): Fact => ({ kind: "tenant", tenant: name, trust: "vote", createdAtMs: Number.NEGATIVE_INFINITY }),
);

/** Three customers, then anything, at most a few minutes apart; whole seconds, as agents send them. */
export const arbitraryFacts: fc.Arbitrary<readonly Step[]> = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1, 7, 60) }, fc.integer({ min: 0, max: 4000 })),
      fc.oneof({ weight: 7, arbitrary: failureFact }, { weight: 1, arbitrary: otherFact }),
    ),
    { maxLength: 150, size: "max" },
  )
  .map((steps) => {
    let nowMs = start * 1000;
    const rest = steps.map(([seconds, fact]): Step => {
      nowMs += seconds * 1000;
      return { fact: fact.kind === "failure" ? { ...fact, atMs: nowMs + fact.atMs * 1000 } : fact, nowMs };
    });
    return [...voters.map((fact) => ({ fact, nowMs: start * 1000 })), ...rest];
  });
