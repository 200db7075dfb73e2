import assert from "node:assert/strict";
import { test } from "node:test";
import { createJudge } from "../../../server/domain/create-judge.ts";
import { parsePolicy } from "../../../server/domain/policy.ts";
import { RecentSubjects } from "../../../server/domain/recent-subjects.ts";
import { day, decide, event, failure, incident, lineOf, tell, tick, voter } from "./story.ts";

const quiet = { networks: { ipv4: null } };
const brake = (fleetBansPerMinute: number) => ({ ...quiet, limits: { fleetBansPerMinute } });
const agent = (subjectsPerMinute: number, subjectsPerDay: number) => ({
  ...quiet,
  limits: { agent: { subjectsPerMinute, subjectsPerDay } },
});
const address = (index: number) => `198.51.${100 + Math.floor(index / 250)}.${index % 250}`;
const kinds = (told: readonly string[]) => told.map((line) => line.split(" ")[1]);

test("more automatic fleet bans in a minute than the policy allows are held", () => {
  const told = tell([incident(0, address(1)), incident(30, address(2)), incident(60, address(3))], brake(2));
  assert.deepEqual(kinds(told), ["ban", "ban", "held"]);
  assert.match(told[2] ?? "", /^60 held 198\.51\.100\.3\/32 fleet: more than 2 automatic fleet bans in a minute/);
  const later = tell([incident(0, address(1)), incident(30, address(2)), incident(61, address(3))], brake(2));
  assert.deepEqual(kinds(later), ["ban", "ban", "ban"]);
});

test("tenant bans and bans by hand neither trip the brake nor are held", () => {
  const byHand = event(0, "ban", { net: address(9), scope: "fleet", bantime: day });
  const inTenant = incident(1, address(8), { tenant: "a" });
  assert.deepEqual(kinds(tell([voter("a"), byHand, inTenant, incident(2, address(1))], brake(1))), [
    "ban",
    "ban",
    "ban",
  ]);
  assert.deepEqual(kinds(tell([voter("a"), byHand, inTenant], brake(0))), ["ban", "ban"]);
});

test("a limit of 0 holds every automatic fleet ban", () => {
  assert.deepEqual(kinds(tell([incident(0, address(1))], brake(0))), ["held"]);
});

test("what is held is banned when an admin releases it, and forgotten when dropped", () => {
  const judge = createJudge(parsePolicy(brake(0), "policy"));
  decide(judge, [incident(0, address(1)), incident(0, address(2))]);
  assert.deepEqual(
    judge.held().map((held) => held.net),
    ["198.51.100.1/32", "198.51.100.2/32"],
  );
  const fleet = { scope: "fleet" };
  const released = decide(judge, [
    event(9, "drop", { net: address(2), ...fleet }),
    event(10, "release", { net: address(1), ...fleet }),
    event(10, "release", { net: address(2), ...fleet }),
    event(10, "release", { net: address(1), ...fleet }),
  ]);
  assert.deepEqual(released.map(lineOf), ["10 ban 198.51.100.1/32 fleet L0 until 3610 22 jail sshd 1h 1t 3f"]);
  assert.equal(judge.held().length, 0);
});

test("a held subject's stragglers are answered, its next attack is judged anew", () => {
  const again = [incident(0, address(1)), incident(0, address(2)), incident(0, address(2), { host: "h2" })];
  const told = tell([...again, incident(100, address(2))], brake(1));
  assert.deepEqual(kinds(told), ["ban", "held", "ban"]);
});

test("an allow or a never hides what is held of it, and a release is refused", () => {
  const judge = createJudge(parsePolicy(brake(0), "policy"));
  decide(judge, [incident(0, address(1)), incident(0, address(2)), incident(0, address(3))]);
  decide(judge, [event(1, "allow", { net: address(1) }), event(1, "never", { net: address(2) })]);
  assert.deepEqual(
    judge.held().map((held) => held.net),
    ["198.51.100.3/32"],
  );
  const [refused] = decide(judge, [event(2, "release", { net: address(1), scope: "fleet" })]);
  assert.equal(refused?.kind, "refused");
});

test("a host that accuses more subjects in a minute than the limit is quarantined: evidence only from then on", () => {
  const three = [0, 30, 60].map((at, index) => incident(at, address(index)));
  assert.deepEqual(kinds(tell(three, agent(3, 100))), ["ban", "ban", "ban"]);
  const told = tell(
    [...three, incident(60, address(3)), incident(300, address(4)), incident(300, address(5), { host: "h2" })],
    agent(3, 100),
  );
  assert.deepEqual(kinds(told), ["ban", "ban", "ban", "quarantine", "ban"]);
  assert.equal(told[3], "60 quarantine default/h1: more than 3 subjects in a minute");
  const slower = [...three, incident(61, address(3))];
  assert.deepEqual(kinds(tell(slower, agent(3, 100))), ["ban", "ban", "ban", "ban"]);
});

test("a host that accuses more subjects in a day than the limit is quarantined", () => {
  const at = (index: number) => index * 100;
  const told = tell(
    [0, 1, 2, 3].map((index) => failure(at(index), address(index))),
    agent(100, 3),
  );
  assert.deepEqual(told, ["300 quarantine default/h1: more than 3 subjects in a day"]);
  const slow = [0, 1, 2].map((index) => failure(index, address(index)));
  assert.deepEqual(tell([...slow, failure(day + 1, address(3))], agent(100, 3)), []);
  assert.deepEqual(kinds(tell([...slow, failure(day, address(3))], agent(100, 3))), ["quarantine"]);
});

test("the same subjects again and again are no flood", () => {
  const many = Array.from({ length: 100 }, (_, index) => failure(index, address(index % 3), { jail: `j${index}` }));
  assert.ok(!kinds(tell(many, agent(3, 3))).includes("quarantine"));
});

test("an agent that was cut off delivers a day at once without being quarantined", () => {
  const minutes = Array.from({ length: 600 }, (_, index) => failure(index * 60, address(index)));
  assert.deepEqual(tell([tick(day), ...minutes], agent(5, 1000)), []);
});

test("nor by delivering its logs one after the other, each from the beginning", () => {
  const log = (first: number) => Array.from({ length: 60 }, (_, index) => failure(index * 60, address(first + index)));
  assert.deepEqual(tell([tick(day), ...log(0), ...log(60), ...log(120), failure(0, address(180))], agent(6, 1000)), []);
});

test("what a host sent before an admin lifted its quarantine no longer counts, however late it comes", () => {
  const lifted = event(10, "quarantine", { host: "h1", on: false });
  const late = [0, 1, 2, 3].map((index) => failure(10, address(index)));
  assert.deepEqual(tell([lifted, ...late], agent(2, 2)), []);
});

test("an admin's word ends the quarantine and starts the count anew", () => {
  const flood = [0, 1, 2].map((index) => failure(0, address(index)));
  const lifted = event(10, "quarantine", { host: "h1", on: false });
  const told = tell([...flood, lifted, incident(11, address(4)), incident(11, address(5))], agent(2, 2));
  assert.deepEqual(kinds(told), ["quarantine", "ban", "ban"]);
});

test("hosts of the same name in two tenants are two hosts", () => {
  const flood = [0, 1, 2].map((index) => failure(0, address(index), { tenant: "a" }));
  assert.deepEqual(kinds(tell([...flood, incident(0, address(9), { tenant: "b" })], agent(2, 2))), [
    "quarantine",
    "ban",
  ]);
});

test("the compact counter counts as a Map would", () => {
  const span = 50;
  const recent = new RecentSubjects(span);
  const model = new Map<number, number>();
  let random = 1;
  const next = (below: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % below;
  };
  for (let second = 0; second < 3000; second += 1) {
    const key = 1 + next(200) * 0x1_00_00_01;
    assert.equal(recent.has(key, second), second - (model.get(key) ?? Number.NEGATIVE_INFINITY) <= span);
    recent.see(key, second);
    model.set(key, second);
    const alive = [...model.values()].filter((seen) => second - seen <= span).length;
    assert.equal(recent.count(second, 0), alive);
  }
});
