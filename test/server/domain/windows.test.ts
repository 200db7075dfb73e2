import assert from "node:assert/strict";
import { test } from "node:test";
import { day, event, failure, hour, incident, start, tell } from "./story.ts";

const address = "192.0.2.1";
const off = { spread: null };

test("adds up one subject's failures over the hosts of a tenant", () => {
  const told = tell([failure(0, address), failure(1, address, { host: "h2" }), failure(2, address, { host: "h3" })]);
  assert.deepEqual(told, ["2 ban 192.0.2.1/32 fleet L0 until 3602 22 jail sshd 3h 1t 3f"]);
});

test("two failures are not an incident, and three of two subjects neither", () => {
  assert.deepEqual(tell([failure(0, address), failure(1, address), failure(2, "192.0.2.2")]), []);
});

test("a failure exactly findtime old still counts", () => {
  const told = tell([failure(0, address), failure(1800, address), failure(hour, address)]);
  assert.deepEqual(told, ["3600 ban 192.0.2.1/32 fleet L0 until 7200 22 jail sshd 1h 1t 3f"]);
});

test("a failure one second older than findtime does not count", () => {
  assert.deepEqual(tell([failure(0, address), failure(1800, address), failure(hour + 1, address)]), []);
});

test("the window slides: the first failure leaves, the other two and a new one make the incident", () => {
  const told = tell([0, 1800, hour + 1, 1800 + hour].map((at) => failure(at, address)));
  assert.deepEqual(told, ["5400 ban 192.0.2.1/32 fleet L0 until 9000 22 jail sshd 1h 1t 3f"]);
});

test("jails do not add up, and each has its own thresholds", () => {
  const nginx = { jail: "nginx" };
  assert.deepEqual(tell([failure(0, address), failure(1, address), failure(2, address, nginx)]), []);
  const policy = { jails: { nginx: { maxretry: 2, findtime: "10m", ports: [443, 80] } } };
  assert.deepEqual(tell([failure(0, address, nginx), failure(601, address, nginx)], policy), []);
  const told = tell([failure(0, address, nginx), failure(600, address, nginx)], policy);
  assert.deepEqual(told, ["600 ban 192.0.2.1/32 fleet L0 until 4200 443,80 jail nginx 1h 1t 2f"]);
});

test("a jail without ports in the policy bans every port", () => {
  const told = tell([incident(0, address, { jail: "dovecot" })]);
  assert.deepEqual(told, ["0 ban 192.0.2.1/32 fleet L0 until 3600 all jail dovecot 1h 1t 3f"]);
});

test("a jail named like a property of every object has the default's settings", () => {
  const told = tell([incident(0, address, { jail: "constructor" }), incident(0, "192.0.2.2", { jail: "__proto__" })]);
  assert.equal(told.length, 2);
});

test("tenants do not add up", () => {
  const of = (tenant: string, at: number) => failure(at, address, { tenant });
  assert.deepEqual(tell([of("a", 0), of("a", 1), of("b", 2), of("c", 3)]), []);
});

test("failures of one second count as many as they are", () => {
  const told = tell([failure(0, address, { count: 2 }), failure(0, address, { count: 5, host: "h2" })]);
  assert.deepEqual(told, ["0 ban 192.0.2.1/32 fleet L0 until 3600 22 jail sshd 2h 1t 7f"]);
});

test("all failures of the second that fills the window are its evidence", () => {
  const told = tell([failure(0, address), failure(0, address, { host: "h2" }), failure(0, address, { count: 2 })]);
  assert.deepEqual(told, ["0 ban 192.0.2.1/32 fleet L0 until 3600 22 jail sshd 2h 1t 4f"]);
});

test("spread: failures on five hosts, whatever the jail, within a day and a second too late", () => {
  const on = (number: number, at: number) => failure(at, address, { host: `h${number}`, jail: `jail${number}` });
  const early = [on(1, 0), on(2, 6 * hour), on(3, 12 * hour), on(4, 18 * hour)];
  assert.deepEqual(tell([...early, on(5, day)]), ["86400 ban 192.0.2.1/32 fleet L0 until 90000 all spread 5h 1t 5f"]);
  assert.deepEqual(tell([...early, on(5, day + 1)]), []);
  assert.deepEqual(tell([...early, on(4, day)]), [], "four hosts");
  assert.deepEqual(tell([...early, on(5, day)], off), [], "switched off");
});

test("an incident empties every window of its subject in that tenant", () => {
  const told = tell([
    failure(0, address, { jail: "nginx", count: 2 }),
    incident(1, address),
    event(2, "unban", { net: address, scope: "fleet", reason: "admin" }),
    failure(3, address, { jail: "nginx" }),
  ]);
  assert.equal(told.length, 2, "the two old nginx failures are gone");
});

test("a failure dated in the future counts as now", () => {
  // Events that are not in order: the clock does not go back, so the first failure is dated ahead of the others.
  const late = [failure(10, address), failure(10 - hour, address), failure(10 - hour, address, { host: "h2" })];
  assert.deepEqual(tell(late), ["10 ban 192.0.2.1/32 fleet L0 until 3610 22 jail sshd 2h 1t 3f"]);
});

test("a late failure counts at its own date and joins the window around it", () => {
  const told = tell([failure(0, address), failure(2 * hour, address), failure(hour, address)]);
  assert.deepEqual(told, [], "0 and 1 h, 1 h and 2 h: never three within an hour");
  const joined = tell([failure(0, address), failure(hour, address), failure(1800, address)]);
  assert.deepEqual(joined, ["3600 ban 192.0.2.1/32 fleet L0 until 7200 22 jail sshd 1h 1t 3f"]);
});

test("a failure a day late still counts, one second more is only evidence", () => {
  const batch = (at: number) => [0, 1, 2].map((second) => failure(at + second, address));
  const now = { at: start + day + 2, kind: "tick" };
  assert.deepEqual(tell([now, ...batch(2)]), ["86402 ban 192.0.2.1/32 fleet L0 until 90002 22 jail sshd 1h 1t 3f"]);
  assert.deepEqual(tell([now, ...batch(1)]), []);
});
