import assert from "node:assert/strict";
import { test } from "node:test";
import { horizonsOf, parsePolicy } from "../../../server/domain/policy.ts";
import { hourMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";

function errorOf(document: unknown): string {
  try {
    parsePolicy(document, "policy.yaml");
  } catch (error) {
    assert.ok(error instanceof Fleet2banError && error.code === "invalid");
    return error.message;
  }
  return "";
}

test("an empty policy is the default one", () => {
  const policy = parsePolicy(null, "policy");
  assert.deepEqual(policy.jails.get("sshd"), { findtimeMs: hourMs, maxretry: 3, ports: [22] });
  assert.deepEqual(policy.defaultJail, { findtimeMs: hourMs, maxretry: 3, ports: null });
  assert.deepEqual(policy.spread, { hosts: 5, findtimeMs: 24 * hourMs });
  assert.deepEqual(
    policy.ladder.map((rung) => [rung.banTimeMs / hourMs, rung.after, rung.withinMs / hourMs]),
    [
      [1, 0, 0],
      [24, 3, 168],
      [168, 3, 720],
      [720, 3, 4320],
    ],
  );
  assert.deepEqual(policy.fleet, { tenants: 3, withinMs: 24 * hourMs, minTenantAgeMs: 336 * hourMs });
  assert.deepEqual(policy.limits, {
    widestBan: { 4: 24, 6: 48 },
    agent: { subjectsPerMinute: 300, subjectsPerDay: 20_000 },
    fleetBansPerMinute: 1000,
  });
});

test("a partial policy changes only what it says", () => {
  const policy = parsePolicy(
    { jails: { sshd: { maxretry: 5 }, nginx: { findtime: 600 } }, fleet: { tenants: 2 } },
    "p",
  );
  assert.deepEqual(policy.jails.get("sshd"), { findtimeMs: hourMs, maxretry: 5, ports: [22] });
  assert.deepEqual(policy.jails.get("nginx"), { findtimeMs: hourMs / 6, maxretry: 3, ports: null });
  assert.equal(policy.fleet.tenants, 2);
  assert.equal(policy.fleet.withinMs, 24 * hourMs);
});

test("a jail the policy names takes what it leaves out from the default jail", () => {
  const policy = parsePolicy({ jails: { default: { maxretry: 9, ports: [1] }, nginx: {} } }, "p");
  assert.deepEqual(policy.jails.get("nginx"), { findtimeMs: hourMs, maxretry: 9, ports: [1] });
});

test("a list is replaced whole, and a ladder may have one rung or ten", () => {
  const rung = { bantime: "1d", after: 1, within: "1d" };
  for (const length of [1, 10]) {
    assert.equal(parsePolicy({ ladder: Array.from({ length }, () => rung) }, "p").ladder.length, length);
  }
  assert.match(errorOf({ ladder: [] }), /ladder: must have at least one level/);
  assert.match(errorOf({ ladder: Array.from({ length: 11 }, () => rung) }), /ladder: must have at most 10 levels/);
});

test("an age limit of 0 switches it off", () => {
  for (const minTenantAge of [0, "0", "0s", "0d"]) {
    assert.equal(parsePolicy({ fleet: { minTenantAge } }, "p").fleet.minTenantAgeMs, 0);
  }
});

test("errors name the file, the setting, the value and the remedy", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [
      { jails: { sshd: { maxretry: 0 } } },
      "policy.yaml: jails.sshd.maxretry: must be a whole number from 1 to 1000 (got 0)",
    ],
    [{ spread: { host: 3 } }, "policy.yaml: spread.host: there is no such setting; correct its name or remove it"],
    [{ fleet: { tenants: "3" } }, 'policy.yaml: fleet.tenants: must be a whole number from 2 to 1000 (got "3")'],
    [{ fleet: null }, "policy.yaml: fleet: must be a group of settings (got null)"],
    [[], "policy.yaml: must be a group of settings (got [])"],
    [{ reserved: ["x"] }, 'policy.yaml: reserved[0]: must be an address or network such as 192.0.2.0/24 (got "x")'],
  ];
  for (const [document, message] of cases) assert.equal(errorOf(document), message);
  assert.match(errorOf({ ladder: [{ bantime: "soon" }] }), /ladder\[0\]\.bantime: must be a span .*\(got "soon"\)/);
  assert.match(
    errorOf({ ladder: [{ bantime: 1 }, { bantime: 2, after: 3 }] }),
    /ladder\[1\]\.within is missing; write/,
  );
  assert.match(errorOf({ jails: { "no spaces": {} } }), /jails\.no spaces/);
  assert.match(errorOf(JSON.parse('{"__proto__":{"x":1}}')), /__proto__: there is no such setting/);
});

test("every mistake is told, one per line", () => {
  assert.equal(errorOf({ ipv6Prefix: 1, fleet: { tenants: 1 } }).split("\n").length, 2);
});

test("a policy may not ban wider than its own widest ban", () => {
  assert.match(errorOf({ limits: { widestBan: { ipv4: 25 } } }), /networks\.ipv4\.prefix: .*\(25\) to 31 \(got 24\)/);
  assert.match(errorOf({ networks: { ipv6: { prefix: 64 } } }), /networks\.ipv6\.prefix/);
  assert.match(errorOf({ ipv6Prefix: 40 }), /ipv6Prefix: \/40 is wider than limits\.widestBan\.ipv6/);
  assert.equal(parsePolicy({ limits: { widestBan: { ipv4: 32 } }, networks: { ipv4: null } }, "p").networks[4], null);
});

test("the horizons cover every span the judge looks back on", () => {
  const { failuresMs, bansMs } = horizonsOf(parsePolicy({ jails: { slow: { findtime: "10d" } } }, "p"));
  assert.equal(failuresMs, 11 * 24 * hourMs);
  assert.ok(bansMs >= 180 * 24 * hourMs);
});
