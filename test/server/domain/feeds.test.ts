import assert from "node:assert/strict";
import { test } from "node:test";
import { createJudge } from "../../../server/domain/create-judge.ts";
import type { Fact, Judge } from "../../../server/domain/judge.ts";
import { parsePolicy } from "../../../server/domain/policy.ts";
import { decide, defaultPolicy, incident, judgeOf, lineOf, start, voter } from "./story.ts";

const at = (seconds: number) => (start + seconds) * 1000;
const listed = (net: string, feed = "drop", until = 1000): Fact => ({ kind: "feed", feed, net, untilMs: at(until) });
const told = (judge: Judge, fact: Fact, seconds: number) => judge.apply(fact, at(seconds)).decisions.map(lineOf);

test("what a feed lists is banned for the fleet on every port, without a level, until its time is over", () => {
  const judge = createJudge(defaultPolicy);
  assert.deepEqual(told(judge, listed("192.0.2.1"), 0), [
    "0 ban 192.0.2.1/32 fleet Lnull until 1000 all feed drop 0h 0t 0f",
  ]);
  assert.deepEqual(told(judge, { kind: "tick" }, 1000), ["1000 unban 192.0.2.1/32 fleet expired"]);
  assert.deepEqual([judge.size().bans, judge.size().standing], [0, 0]);
});

test("no feed bans what is reserved, never-listed, allowed for the fleet, or wider than one admin may", () => {
  const judge = createJudge(defaultPolicy);
  judge.apply({ kind: "never", net: "203.0.113.7", add: true }, at(0));
  judge.apply({ kind: "allow", net: "198.51.100.0/24", tenant: null, add: true }, at(0));
  for (const net of ["10.0.0.1", "203.0.113.0/24", "203.0.113.7", "198.51.100.9", "61.177.0.0/16", "2001:db8::/32"]) {
    assert.deepEqual(told(judge, listed(net), 1), [], net);
  }
});

test("an allow for the fleet and a never lift at once what a feed banned, a tenant's allow does not", () => {
  const judge = createJudge(defaultPolicy);
  for (const net of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) judge.apply(listed(net), at(0));
  assert.deepEqual(told(judge, { kind: "allow", net: "192.0.2.1", tenant: "a", add: true }, 1), []);
  const allow: Fact = { kind: "allow", net: "192.0.2.1", tenant: null, add: true };
  assert.deepEqual(told(judge, allow, 2), ["2 unban 192.0.2.1/32 fleet allowed"]);
  const never: Fact = { kind: "never", net: "192.0.2.2/31", add: true };
  assert.deepEqual(told(judge, never, 3), ["3 unban 192.0.2.2/32 fleet allowed", "3 unban 192.0.2.3/32 fleet allowed"]);
});

/** An attacker whom a policy answers in every way: votes, the ladder, networks. */
const attack = [
  ...["a", "b", "c"].map((tenant) => voter(tenant)),
  ...[10, 5000, 10_000, 90_000].map((second) => incident(second, "192.0.2.1")),
  ...["a", "b", "c"].map((tenant) => incident(100_000, "198.51.100.7", { tenant })),
  ...[2, 3, 4, 5].map((last) => incident(110_000, `192.0.2.${last}`)),
];

test("feeds are no evidence: whatever they list, our own rules decide as if they did not exist", () => {
  const without = decide(createJudge(defaultPolicy), attack).map(lineOf);
  const judge = createJudge(defaultPolicy);
  for (const net of ["192.0.2.1", "192.0.2.2", "192.0.2.0/24", "198.51.100.7", "198.51.100.0/24"]) {
    for (const feed of ["drop", "level1"]) judge.apply(listed(net, feed, 1_000_000), at(0));
  }
  assert.deepEqual(decide(judge, attack).map(lineOf), without);
  assert.ok(without.some((line) => line.includes("L1")) && without.some((line) => line.includes("network")));
});

test("a thousand entries are no storm: the brake is about our own bans, and what it holds stays held", () => {
  const policy = parsePolicy({ limits: { fleetBansPerMinute: 1 } }, "policy");
  const judge = createJudge(policy);
  for (let index = 0; index < 1000; index += 1) judge.apply(listed(`198.51.${index >> 8}.${index & 255}`), at(0));
  assert.deepEqual([judge.size().standing, judge.brake(at(0)).count], [1000, 0]);
  decide(judge, [incident(1, "192.0.2.1"), incident(1, "192.0.2.77")]);
  assert.equal(judge.held().length, 1);
  judge.apply(listed("192.0.2.77"), at(2));
  assert.equal(judge.held().length, 1);
});

test("an unban by its number lifts what a feed banned and says whose it was; our own ban of the same net stays", () => {
  const judge = judgeOf([incident(0, "192.0.2.1")]);
  judge.apply(listed("192.0.2.1"), at(1));
  const { decisions } = judge.apply({ kind: "unban", net: "192.0.2.1", scope: "fleet", reason: "admin", id: 2 }, at(2));
  assert.deepEqual(
    decisions.map((each) => each.kind === "unban" && [each.id, each.feed]),
    [[2, "drop"]],
  );
  assert.equal(judge.size().standing, 1);
});

test("who follows another judge keeps what it learned of feeds, and forgets what they dropped", () => {
  const judge = createJudge(defaultPolicy);
  const other = createJudge(defaultPolicy);
  const share = (fact: Fact, seconds: number) => {
    const { decisions } = judge.apply(fact, at(seconds));
    other.follow({ atMs: at(seconds), facts: [fact], decisions });
  };
  share(listed("192.0.2.1"), 0);
  assert.deepEqual(
    other.explain("192.0.2.1", at(1)).bans.map((ban) => ban.reason),
    ["feed drop"],
  );
  share({ kind: "unban", net: "192.0.2.1", scope: "fleet", reason: "expired", id: 1 }, 2);
  assert.deepEqual(other.size(), { subjects: 0, bans: 0, standing: 0, held: 0 });
});
