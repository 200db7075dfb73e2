import assert from "node:assert/strict";
import { test } from "node:test";
import { event, failure, hour, incident, judgeOf, start, voter } from "./story.ts";

const address = "192.0.2.1";
const nowMs = (start + 10) * 1000;

test("explains an address nobody knows", () => {
  assert.deepEqual(judgeOf([]).explain(address, nowMs), {
    net: "192.0.2.1/32",
    protectedBy: [],
    bans: [],
    windows: [],
    next: [{ scope: "fleet", level: 0, banTimeMs: hour * 1000 }],
    votes: { tenants: [], needed: 3 },
  });
});

test("shows what is counted, how much is missing and on which hosts", () => {
  const judge = judgeOf([failure(0, address), failure(1, address, { host: "h2" })]);
  assert.deepEqual(judge.explain(address, nowMs).windows, [
    {
      tenant: "default",
      jail: "sshd",
      reached: 2,
      needed: 3,
      hosts: ["default/h1", "default/h2"],
      oldestMs: start * 1000,
      newestMs: (start + 1) * 1000,
    },
    {
      tenant: "default",
      jail: null,
      reached: 2,
      needed: 5,
      hosts: ["default/h1", "default/h2"],
      oldestMs: start * 1000,
      newestMs: (start + 1) * 1000,
    },
  ]);
});

test("counts nothing that is over or that a ban has answered", () => {
  assert.deepEqual(judgeOf([incident(0, address)]).explain(address, nowMs).windows, []);
  const judge = judgeOf([failure(0, address)]);
  const later = judge.explain(address, (start + hour + 1) * 1000).windows;
  assert.deepEqual(
    later.map((window) => window.jail),
    [null],
    "only the spread remembers it",
  );
});

test("names every ban that covers the address, standing ones first, and says what comes next", () => {
  const judge = judgeOf([
    incident(0, address),
    event(1, "unban", { net: address, scope: "fleet", reason: "admin" }),
    incident(2, address),
    event(3, "ban", { net: "192.0.2.0/24", scope: "tenant:a", bantime: null }),
  ]);
  const { bans, next } = judge.explain(address, nowMs);
  assert.deepEqual(
    bans.map((ban) => [ban.id, ban.net, ban.scope, ban.endReason]),
    [
      [3, "192.0.2.0/24", "tenant:a", null],
      [2, "192.0.2.1/32", "fleet", null],
      [1, "192.0.2.1/32", "fleet", "admin"],
    ],
  );
  assert.deepEqual(next, [{ scope: "fleet", level: 1, banTimeMs: 24 * hour * 1000 }]);
});

test("names the lists that protect it and the votes so far", () => {
  const judge = judgeOf([
    voter("a"),
    incident(0, address, { tenant: "a" }),
    event(1, "allow", { net: "192.0.2.0/24" }),
    event(1, "allow", { net: address, tenant: "b" }),
  ]);
  const explanation = judge.explain(address, nowMs);
  assert.deepEqual(explanation.protectedBy, [
    { list: "allow", net: "192.0.2.1/32", tenant: "b" },
    { list: "allow", net: "192.0.2.0/24", tenant: null },
  ]);
  assert.deepEqual(explanation.votes, { tenants: ["a"], needed: 3 });
  assert.deepEqual(judge.explain("10.0.0.1", nowMs).protectedBy, [
    { list: "reserved", net: "10.0.0.0/8", tenant: null },
  ]);
});

test("explains the /64 of an IPv6 address, and the bans of the address alone", () => {
  const judge = judgeOf([event(0, "ban", { net: "2001:db8::1", scope: "fleet", bantime: null })]);
  const { net, bans } = judge.explain("2001:db8::1", nowMs);
  assert.equal(net, "2001:db8::/64");
  assert.equal(bans.length, 1);
});

test("says before an admin asks why a ban would be refused", () => {
  const judge = judgeOf([event(0, "never", { net: address })]);
  assert.match(judge.whyRefused(address, "fleet") ?? "", /never list/);
  assert.match(judge.whyRefused("203.0.0.0/16", "fleet") ?? "", /wider than \/24/);
  assert.equal(judge.whyRefused("192.0.2.2", "fleet"), undefined);
  // Two may ban it, and still not what holds a never-listed address.
  assert.equal(judge.whyRefused("203.0.0.0/16", "fleet", true), undefined);
  assert.match(judge.whyRefused("192.0.0.0/16", "fleet", true) ?? "", /never-listed/);
});

test("what is not an address is an error that says what to write", () => {
  assert.throws(() => judgeOf([]).explain("010.0.0.1", nowMs), /"010\.0\.0\.1" is not an address; write 192\.0\.2\.1/);
});
