import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addRule,
  addTenant,
  banByHand,
  decideHeld,
  quarantine,
  setPolicy,
  takeBackRule,
  unbanById,
  unbanNet,
} from "../../../server/ingest/admin-acts.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { tick } from "../../../server/ingest/tick.ts";
import { listAudit, verifyAudit } from "../../../server/store/audit.ts";
import { heldBans } from "../../../server/store/bans.ts";
import { activeSet } from "../../../server/store/orders.ts";
import { hourMs, minuteMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { attacker, batchOf, failuresOf, openArena, startMs, toldOf } from "./arena.ts";

const act = { by: "anna", note: "ticket 4711" };
const refusedAs = (code: string) => (error: unknown) => error instanceof Fleet2banError && error.code === code;

test("a ban by hand says who made it, reaches its scope's log and the audit log", async () => {
  await using arena = await openArena();
  const ban = await banByHand(arena.writer, act, {
    net: "192.0.2.9",
    scope: "tenant:default",
    banTimeMs: hourMs,
    ports: [25],
  });
  assert.deepEqual(
    [ban.net, ban.by, ban.note, ban.level, ban.reason, ban.untilMs],
    ["192.0.2.9/32", "anna", "ticket 4711", null, "admin", startMs + hourMs],
  );
  assert.deepEqual(
    toldOf(arena, "tenant:default").map((each) => each.order),
    [{ kind: "ban", id: ban.id, net: ban.net, untilMs: ban.untilMs, ports: [25], level: null }],
  );
  const [entry] = await listAudit(arena.store, null, 10);
  assert.deepEqual([entry?.actor, entry?.action, entry?.target], ["anna", "ban", "192.0.2.9/32"]);
});

test("a ban of what is never banned is refused and leaves no trace in any log", async () => {
  await using arena = await openArena();
  await addRule(arena.writer, act, {
    kind: "never",
    net: "203.0.113.7",
    tenant: null,
    reason: "gateway",
    untilMs: null,
  });
  const ban = banByHand(arena.writer, act, { net: "203.0.113.0/24", scope: "fleet", banTimeMs: null, ports: null });
  await assert.rejects(ban, refusedAs("conflict"));
  assert.deepEqual(
    toldOf(arena, "fleet").map((each) => each.order.kind),
    ["allow"],
  );
  assert.equal((await listAudit(arena.store, null, 10)).length, 1);
});

test("an unban by id ends that ban only, and once", async () => {
  await using arena = await openArena();
  const request = { net: attacker, scope: "fleet", banTimeMs: null, ports: null } as const;
  const one = await banByHand(arena.writer, act, request);
  const other = await banByHand(arena.writer, act, request);
  const lifted = await unbanById(arena.writer, act, one.id, "false-positive");
  assert.deepEqual(
    lifted.bans.map((ban) => [ban.id, ban.endReason, ban.endedBy, ban.endRevision]),
    [[one.id, "false-positive", "anna", 3]],
  );
  const { standing } = await activeSet(arena.store, "fleet");
  assert.deepEqual(
    standing.map((each) => each.id),
    [other.id],
  );
  await assert.rejects(unbanById(arena.writer, act, one.id, "admin"), refusedAs("conflict"));
  await assert.rejects(unbanById(arena.writer, act, 999, "admin"), refusedAs("not_found"));
});

test("a ban that has ended can be called a false positive, by id or by address: the ladder forgets it, also after a restart", async () => {
  await using arena = await openArena();
  const attack = async (sequence: number) => {
    arena.nowMs += 2 * hourMs;
    const failures = failuresOf(attacker, 3, arena.nowMs);
    const { commit } = await commitBatches(arena.writer, [batchOf("h1", sequence, { failures })]);
    const ban = commit.decisions.find((decision) => decision.kind === "ban");
    return ban?.kind === "ban" ? ban : assert.fail("no ban");
  };
  const [first, second] = [await attack(1), await attack(2)];
  arena.nowMs += 2 * hourMs;
  await tick(arena.writer);
  const told = toldOf(arena, "fleet").length;
  const called = await unbanById(arena.writer, act, first.id, "false-positive");
  assert.deepEqual(
    called.bans.map((ban) => [ban.id, ban.endReason, ban.endedBy, ban.endedMs]),
    [[first.id, "false-positive", "anna", first.untilMs]],
  );
  await assert.rejects(unbanById(arena.writer, act, first.id, "false-positive"), refusedAs("conflict"));
  await assert.rejects(unbanById(arena.writer, act, second.id, "admin"), refusedAs("conflict"));
  const byNet = await unbanNet(arena.writer, act, { net: attacker, reason: "false-positive", tenant: null });
  assert.deepEqual(
    byNet.bans.map((ban) => [ban.id, ban.endReason]),
    [[second.id, "false-positive"]],
  );
  const again = unbanNet(arena.writer, act, { net: attacker, reason: "false-positive", tenant: null });
  await assert.rejects(again, refusedAs("not_found"));
  assert.equal(toldOf(arena, "fleet").length, told, "agents have nothing to do");
  const [third] = [await attack(3)];
  assert.equal(third.level, 0);
  await arena.writer.close();
  arena.writer = await arena.another();
  arena.nowMs += 2 * hourMs;
  assert.equal((await attack(4)).level, 0, "the restarted judge knows one ban, the third");
});

test("an unban of a host's own ban is an order of the host's scope with id 0", async () => {
  await using arena = await openArena();
  const localBans = [{ atMs: startMs, net: "192.0.2.7", jail: "sshd", untilMs: startMs + hourMs }];
  await commitBatches(arena.writer, [batchOf("h2", 1, { localBans })]);
  const lifted = await unbanNet(arena.writer, act, { net: "192.0.2.7", reason: "admin", tenant: null });
  assert.deepEqual([lifted.bans, lifted.hosts], [[], ["h2"]]);
  assert.deepEqual(toldOf(arena, "host:h2"), [
    { revision: 1, order: { kind: "unban", id: 0, net: "192.0.2.7/32", reason: "admin" } },
  ]);
  assert.deepEqual(await arena.store.rows("select end_reason from local_bans"), [{ end_reason: "admin" }]);
  const again = unbanNet(arena.writer, act, { net: "192.0.2.7", reason: "admin", tenant: null });
  await assert.rejects(again, refusedAs("not_found"));
});

test("an unban of a fleet ban ends the hosts' own bans without another order", async () => {
  await using arena = await openArena();
  const localBans = [{ atMs: startMs, net: attacker, jail: "sshd", untilMs: null }];
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs), localBans })]);
  await unbanNet(arena.writer, act, { net: attacker, reason: "false-positive", tenant: null });
  assert.deepEqual(toldOf(arena, "host:h1"), []);
  assert.deepEqual(await arena.store.rows("select end_reason from local_bans"), [{ end_reason: "false-positive" }]);
});

test("a tenant lifts its own bans and neither the fleet's nor another tenant's", async () => {
  await using arena = await openArena({ default: ["h1"], a: ["a1"], b: ["b1"] });
  for (const scope of ["fleet", "tenant:a", "tenant:b"] as const) {
    await banByHand(arena.writer, act, { net: attacker, scope, banTimeMs: null, ports: null });
  }
  const lifted = await unbanNet(arena.writer, act, { net: attacker, reason: "admin", tenant: "a" });
  assert.deepEqual(
    lifted.bans.map((ban) => ban.scope),
    ["tenant:a"],
  );
  assert.equal((await activeSet(arena.store, "tenant:b")).standing.length, 1);
  assert.equal((await activeSet(arena.store, "fleet")).standing.length, 1);
});

test("an allow lifts what it covers at once and its order comes first", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  const rule = await addRule(arena.writer, act, {
    kind: "allow",
    net: "192.0.2.0/28",
    tenant: null,
    reason: "office",
    untilMs: null,
  });
  assert.deepEqual(
    toldOf(arena, "fleet")
      .slice(1)
      .map((each) => each.order),
    [
      { kind: "allow", id: rule.id, net: "192.0.2.0/28", untilMs: null },
      { kind: "unban", id: 1, net: "192.0.2.1/32", reason: "allowed" },
    ],
  );
  const twice = addRule(arena.writer, act, {
    kind: "allow",
    net: "192.0.2.0/28",
    tenant: null,
    reason: "x",
    untilMs: null,
  });
  await assert.rejects(twice, refusedAs("conflict"));
  await takeBackRule(arena.writer, act, "allow", rule.id);
  const { commit } = await commitBatches(arena.writer, [
    batchOf("h1", 2, { failures: failuresOf(attacker, 3, startMs + 1) }),
  ]);
  assert.equal(commit.decisions.length, 0, "failures up to the lifted ban's end are settled");
  assert.deepEqual((await activeSet(arena.store, "fleet")).standing, []);
});

test("a request that cannot be read costs no rebuild and no revision", async () => {
  await using arena = await openArena();
  await assert.rejects(
    banByHand(arena.writer, act, { net: "1.2.3", scope: "fleet", banTimeMs: null, ports: null }),
    refusedAs("invalid"),
  );
  await assert.rejects(takeBackRule(arena.writer, act, "never", 5), refusedAs("not_found"));
  await assert.rejects(
    quarantine(arena.writer, act, { tenant: "default", host: "h9", on: true }),
    refusedAs("not_found"),
  );
  assert.deepEqual(arena.commits, []);
});

test("the brake's bans are held in the database until somebody decides", async () => {
  await using arena = await openArena();
  await setPolicy(arena.writer, act, "limits: { fleetBansPerMinute: 1 }");
  const failures = ["192.0.2.1", "198.51.100.1", "203.0.113.1"].flatMap((each) => failuresOf(each, 3, startMs));
  const { commit } = await commitBatches(arena.writer, [batchOf("h1", 1, { failures })]);
  assert.deepEqual(
    commit.decisions.map((each) => each.kind),
    ["ban", "held", "held"],
  );
  const successor = await arena.another();
  arena.writer = successor;
  assert.deepEqual(await successor.ask((judge) => judge.held().map((each) => each.net)), [
    "198.51.100.1/32",
    "203.0.113.1/32",
  ]);
  arena.nowMs += 2 * minuteMs;
  const released = await decideHeld(successor, act, "release", { net: "198.51.100.1", scope: "fleet" });
  assert.deepEqual(
    released.decisions.map((each) => [each.kind, "level" in each ? each.level : null]),
    [["ban", 0]],
  );
  await decideHeld(successor, act, "drop", { net: "203.0.113.1", scope: "fleet" });
  assert.deepEqual(await heldBans(arena.store), []);
  await assert.rejects(
    decideHeld(successor, act, "drop", { net: "203.0.113.1", scope: "fleet" }),
    refusedAs("not_found"),
  );
});

test("a new policy is in force from the next failure on and a broken one never", async () => {
  await using arena = await openArena();
  await assert.rejects(setPolicy(arena.writer, act, "jails: { sshd: { maxretry: 0 } }"), refusedAs("invalid"));
  const { version } = await setPolicy(arena.writer, act, "jails: { sshd: { maxretry: 2 } }");
  const { commit } = await commitBatches(arena.writer, [
    batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) }),
  ]);
  assert.equal(commit.decisions.length, 1);
  assert.deepEqual(await arena.store.rows("select made_by from bans"), [{ made_by: `policy ${version}` }]);
});

test("a quarantined host's failures are evidence only, also after a restart", async () => {
  await using arena = await openArena();
  await quarantine(arena.writer, act, { tenant: "default", host: "h1", on: true });
  arena.writer = await arena.another();
  const first = await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  assert.deepEqual([first.lines, first.commit.decisions], [{ quarantined: 3 }, []]);
  await quarantine(arena.writer, act, { tenant: "default", host: "h1", on: false });
  const second = await commitBatches(arena.writer, [batchOf("h1", 2, { failures: failuresOf(attacker, 3, startMs) })]);
  assert.equal(second.commit.decisions.length, 1);
});

test("a new tenant votes and its incidents stay its own", async () => {
  await using arena = await openArena();
  await addTenant(arena.writer, act, { name: "new", trust: "vote" });
  await assert.rejects(addTenant(arena.writer, act, { name: "new", trust: "full" }), refusedAs("conflict"));
  await banByHand(arena.writer, act, { net: attacker, scope: "tenant:new", banTimeMs: null, ports: null });
  assert.deepEqual(
    toldOf(arena, "tenant:new").map((each) => each.revision),
    [1],
  );
});

test("the audit chain of all of this verifies", async () => {
  await using arena = await openArena();
  for (const host of [1, 2, 3]) {
    await banByHand(arena.writer, act, { net: `192.0.2.${host}`, scope: "fleet", banTimeMs: null, ports: null });
  }
  assert.equal(await verifyAudit(arena.store), null);
});
