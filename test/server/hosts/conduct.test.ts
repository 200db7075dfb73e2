import assert from "node:assert/strict";
import { test } from "node:test";
import { HostRates } from "../../../server/bus/host-rates.ts";
import { Conduct } from "../../../server/hosts/conduct.ts";
import { Connections } from "../../../server/hosts/connections.ts";
import { findingsOf } from "../../../server/hosts/host-findings.ts";
import { RewindWatch } from "../../../server/orders/rewind-watch.ts";
import { minuteMs, secondMs } from "../../../shared/durations.ts";
import type { StatusReport } from "../../../shared/fleet-messages.ts";

test("a mistake or two is counted; ten within a minute are a verdict, once", () => {
  const conduct = new Conduct();
  conduct.note("h1", "permission_violation", 9);
  const first = conduct.review(0);
  assert.deepEqual(first, { noted: [{ host: "h1", misdeed: "permission_violation", count: 9 }], verdicts: [] });
  conduct.note("h1", "permission_violation");
  const [verdict] = conduct.review(59_999).verdicts;
  assert.deepEqual([verdict?.host, verdict?.count, verdict?.quarantine], ["h1", 10, true]);
  conduct.note("h1", "permission_violation", 100);
  assert.deepEqual(conduct.review(59_999).verdicts, []);
  assert.match(conduct.problems().join(), /h1 tried 10 times/);
});

test("mistakes of different minutes are not added up", () => {
  const conduct = new Conduct();
  for (let minute = 0; minute < 5; minute += 1) {
    conduct.note("h1", "permission_violation", 9);
    assert.deepEqual(conduct.review(minute * minuteMs).verdicts, []);
  }
});

test("a cloned key is an alarm and no quarantine: the copy was perhaps made without a thought", () => {
  const conduct = new Conduct();
  conduct.note("h1", "cloned_key");
  assert.deepEqual(
    conduct.review(0).verdicts.map(({ quarantine }) => quarantine),
    [false],
  );
  assert.match(conduct.problemsOf("h1").join(), /two machines/);
  conduct.review(61 * minuteMs);
  assert.deepEqual(conduct.problemsOf("h1"), []);
});

const came = (connection: string) => ({ publicKey: "U1", connection, connected: true });
const left = (connection: string) => ({ publicKey: "U1", connection, connected: false });

test("a host that comes back before its dead connection is noticed stays connected and is no clone", () => {
  const connections = new Connections();
  connections.take(came("1"), 0);
  connections.take(came("2"), minuteMs);
  assert.equal(connections.take(left("1"), 3 * minuteMs), true);
  assert.deepEqual(connections.cloned(60 * minuteMs), []);
  assert.equal(connections.take(left("2"), 4 * minuteMs), false);
});

test("two connections of one key side by side for four minutes are two machines", () => {
  const connections = new Connections();
  connections.take(came("1"), 0);
  connections.take(came("2"), minuteMs);
  assert.deepEqual(connections.cloned(5 * minuteMs - 1), []);
  assert.deepEqual(connections.cloned(5 * minuteMs), ["U1"]);
});

test("a host may have a burst and then fifty messages a second; another host notices nothing", () => {
  const rates = new HostRates();
  const admitted = (host: string, nowMs: number, count: number) =>
    Array.from({ length: count }, () => rates.admit(host, nowMs)).filter(Boolean).length;
  assert.equal(admitted("evil", 0, 5_000), 1_000);
  assert.equal(admitted("evil", secondMs, 5_000), 50);
  assert.equal(admitted("good", secondMs, 100), 100);
  rates.prune(60 * secondMs);
  assert.equal(admitted("evil", 60 * secondMs, 5_000), 1_000);
});

test("one stranger's word does not begin a new life of the order log; two trusted hosts' or most hosts' does", () => {
  const stranger = (name: string) => ({ host: name, trusted: false });
  const trusted = (name: string) => ({ host: name, trusted: true });
  const lonely = new RewindWatch();
  for (let count = 0; count < 100; count += 1) assert.equal(lonely.claim(stranger("evil"), 4, count), false);
  assert.equal(lonely.claim(stranger("h2"), 4, 100), false);
  assert.equal(lonely.claim(stranger("h3"), 4, 100), true);
  const own = new RewindWatch();
  assert.equal(own.claim(trusted("h1"), 100, 0), false);
  assert.equal(own.claim(trusted("h1"), 100, 1), false);
  assert.equal(own.claim(trusted("h2"), 100, 2), true);
  // Not again soon, whoever says so.
  assert.equal(own.claim(trusted("h1"), 100, 3), false);
  assert.equal(own.claim(trusted("h2"), 100, 9 * minuteMs), false);
  assert.equal(new RewindWatch().claim(trusted("only"), 1, 0), true);
});

test("claims of more than three minutes ago count for nothing", () => {
  const watch = new RewindWatch();
  watch.claim({ host: "h1", trusted: true }, 100, 0);
  assert.equal(watch.claim({ host: "h2", trusted: true }, 100, 3 * minuteMs + 1), false);
});

const report: StatusReport = {
  v: 1,
  atMs: 100_000,
  scopes: [{ scope: "tenant:t1", epoch: 1, revision: 1, hash: "0".repeat(16) }],
  refused: [],
  version: "1",
  firewall: "nftables",
  enforcing: true,
  problems: [],
};
const nothing = { drifting: [], ahead: undefined };

test("what a host reports becomes sentences for the operator; an exact host has none", () => {
  assert.deepEqual(findingsOf(report, nothing, { tenant: "t1", observe: false }, 100_000), []);
  assert.deepEqual(findingsOf(report, nothing, { tenant: "t1", observe: false }, 110_000), []);
  assert.deepEqual(findingsOf(report, nothing, { tenant: "t1", observe: false }, 130_000), [
    "its clock is 30 s behind",
  ]);
  const refused = [{ scope: "fleet", id: 1, net: "192.0.2.1/32", why: "never list" }] as const;
  const bad = { ...report, canary: false, refused: [...refused] };
  const findings = findingsOf(
    bad,
    { drifting: ["fleet"], ahead: { scope: "fleet", revision: 9 } },
    { tenant: "t2", observe: false },
    100_000,
  );
  assert.deepEqual(findings, [
    "holds other orders than it should: fleet",
    "holds orders of fleet that the coordinator does not know",
    "its firewall does not stop the canary address",
    "still follows tenant t1",
    "refuses 1 orders: never list",
  ]);
});

test("a host that does not do what it is told about observing is named, also one too old to know how", () => {
  const told = { tenant: "t1", observe: true };
  const at = (observing: boolean | undefined, wanted: typeof told) =>
    findingsOf({ ...report, ...(observing === undefined ? {} : { observing }) }, nothing, wanted, 100_000).join();
  assert.equal(at(true, told), "");
  assert.match(at(false, told), /told to observe, and enforces: does not yet/);
  assert.match(at(undefined, told), /told to observe, and enforces: its version does not know how/);
  assert.match(at(true, { ...told, observe: false }), /observes although it is told to enforce/);
  assert.equal(at(undefined, { ...told, observe: false }), "");
});
