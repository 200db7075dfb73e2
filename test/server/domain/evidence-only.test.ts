import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEvent } from "../../../server/cli/replay-events.ts";
import { day, event, failure, hour, incident, judgeOf, tell, tick, voter } from "./story.ts";

const address = "192.0.2.1";
const first = "0 ban 192.0.2.1/32 fleet L0 until 3600 22 jail sshd 1h 1t 3f";
const expired = "3600 unban 192.0.2.1/32 fleet expired";

test("a hundred hosts that report one address in the same second make one incident", () => {
  const hosts = Array.from({ length: 100 }, (_, index) => incident(0, address, { host: `h${index}` }));
  assert.deepEqual(tell([...hosts, tick(day)]), [first, expired]);
});

test("stragglers during the ban make none", () => {
  assert.deepEqual(tell([incident(0, address), incident(1, address), incident(hour - 1, address)]), [first]);
});

test("a failure dated at the end of the ban is evidence, one second later it counts", () => {
  assert.deepEqual(tell([incident(0, address), incident(hour, address)]), [first, expired]);
  assert.deepEqual(tell([incident(0, address), incident(hour + 1, address)]).slice(1), [
    expired,
    "3601 ban 192.0.2.1/32 fleet L0 until 7201 22 jail sshd 1h 1t 3f",
  ]);
});

test("a failure that arrives after the ban but is dated within it, or before it, is evidence", () => {
  const late = [tick(2 * hour), incident(hour, address), incident(-5, address)];
  assert.deepEqual(tell([incident(0, address), ...late]), [first, expired]);
});

test("a lifted ban ends when it is lifted: what is dated later counts again", () => {
  const lifted = event(100, "unban", { net: address, scope: "fleet", reason: "admin" });
  const told = tell([incident(0, address), lifted, incident(100, address), incident(101, address)]);
  assert.deepEqual(told.slice(1), [
    "100 unban 192.0.2.1/32 fleet admin",
    "101 ban 192.0.2.1/32 fleet L0 until 3701 22 jail sshd 1h 1t 3f",
  ]);
});

test("failures before a ban do not join those after it", () => {
  const told = tell([
    failure(0, address, { count: 2 }),
    event(1, "ban", { net: address, scope: "fleet", bantime: 60 }),
    event(2, "unban", { net: address, scope: "fleet", reason: "admin" }),
    failure(3, address),
  ]);
  assert.equal(told.length, 2);
});

test("a tenant's ban is no answer to another tenant's failures", () => {
  const told = tell([
    voter("a"),
    voter("b"),
    incident(1, address, { tenant: "a" }),
    incident(2, address, { tenant: "b" }),
  ]);
  assert.deepEqual(told, [
    "1 ban 192.0.2.1/32 tenant:a L0 until 3601 22 jail sshd 1h 1t 3f",
    "2 ban 192.0.2.1/32 tenant:b L0 until 3602 22 jail sshd 1h 1t 3f",
  ]);
});

test("a network's ban answers for every address in it", () => {
  const told = tell([event(0, "ban", { net: "192.0.2.0/24", scope: "fleet", bantime: hour }), incident(1, address)]);
  assert.deepEqual(told, ["0 ban 192.0.2.0/24 fleet Lnull until 3600 all admin 0h 0t 0f"]);
});

test("a ban by hand of one IPv6 address answers for that address, not for its /64", () => {
  const byHand = event(0, "ban", { net: "2001:db8::1", scope: "fleet", bantime: hour });
  assert.equal(tell([byHand, incident(1, "2001:db8::1")]).length, 1);
  assert.equal(
    tell([byHand, incident(1, "2001:db8::2")])[1],
    "1 ban 2001:db8::/64 fleet L0 until 3601 22 jail sshd 1h 1t 3f",
  );
});

test("a ban for ever answers for ever", () => {
  const told = tell([event(0, "ban", { net: address, scope: "fleet", bantime: null }), incident(400 * day, address)]);
  assert.deepEqual(told, ["0 ban 192.0.2.1/32 fleet Lnull until ever all admin 0h 0t 0f"]);
});

test("says of each failure what it counted for", () => {
  const judge = judgeOf([incident(0, address)]);
  const weightAt = (at: number) => {
    const { fact, atMs } = parseEvent(JSON.stringify(failure(at, address)), "test");
    return judge.apply(fact, atMs).weight;
  };
  assert.deepEqual([weightAt(hour), weightAt(hour + 1)], ["banned", "fleet"]);
});
