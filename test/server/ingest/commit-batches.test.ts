import assert from "node:assert/strict";
import { test } from "node:test";
import { banByHand } from "../../../server/ingest/admin-acts.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { setHostState } from "../../../server/store/hosts.ts";
import { activeSet, ordersSince } from "../../../server/store/orders.ts";
import { minuteMs, secondMs } from "../../../shared/durations.ts";
import { OrderSet } from "../../../shared/order-set.ts";
import { attacker, batchOf, failuresOf, openArena, startMs, toldOf } from "./arena.ts";

test("failures on two hosts together become one ban, its order and its history", async () => {
  await using arena = await openArena();
  const { writer } = arena;
  const first = await commitBatches(writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) })]);
  assert.deepEqual(first.commit.decisions, []);
  const second = await commitBatches(writer, [batchOf("h2", 1, { failures: failuresOf(attacker, 1, startMs) })]);
  assert.deepEqual(second.lines, { fleet: 1 });
  assert.deepEqual(second.acknowledge, [{ host: "h2", epoch: "life1", sequence: 1, result: "counted" }]);
  const [decision] = second.commit.decisions;
  assert.ok(decision?.kind === "ban");
  assert.deepEqual([decision.net, decision.scope, decision.level], ["192.0.2.1/32", "fleet", 0]);
  assert.deepEqual(toldOf(arena, "fleet"), [
    {
      revision: 1,
      order: {
        kind: "ban",
        id: decision.id,
        net: decision.net,
        untilMs: decision.untilMs,
        ports: decision.ports,
        level: 0,
      },
    },
  ]);
  const stored = await arena.store.rows("select id, made_by, start_revision, evidence->>'hosts' as hosts from bans");
  assert.deepEqual(stored, [{ id: decision.id, made_by: "policy 0", start_revision: 1, hosts: "2" }]);
});

test("a batch that comes twice is acknowledged twice and counts once", async () => {
  await using arena = await openArena();
  const batch = batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) });
  await commitBatches(arena.writer, [batch]);
  const again = await commitBatches(arena.writer, [batch, batch]);
  assert.deepEqual(
    again.acknowledge.map((each) => each.result),
    ["duplicate", "duplicate"],
  );
  assert.deepEqual(again.commit, { atMs: startMs, decisions: [], orders: [] });
  assert.deepEqual(await arena.store.rows("select sum(count) as sum from failures"), [{ sum: 2 }]);
});

test("the same batch twice in one pull counts once", async () => {
  await using arena = await openArena();
  const batch = batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) });
  const { acknowledge } = await commitBatches(arena.writer, [batch, batch]);
  assert.deepEqual(
    acknowledge.map((each) => each.result),
    ["counted", "duplicate"],
  );
  assert.deepEqual(await arena.store.rows("select sum(count) as sum from failures"), [{ sum: 2 }]);
});

test("batches that overtake each other all count, in any order of arrival", async () => {
  await using arena = await openArena();
  const one = (sequence: number) =>
    batchOf("h1", sequence, { failures: failuresOf("192.0.2.9", 1, startMs - sequence) });
  const results: string[] = [];
  for (const sequence of [2, 1, 2, 3]) {
    const { acknowledge } = await commitBatches(arena.writer, [one(sequence)]);
    results.push(...acknowledge.map((each) => each.result));
  }
  assert.deepEqual(results, ["gap", "counted", "duplicate", "counted"]);
  assert.deepEqual(await arena.store.rows("select sequence, ahead from agent_cursors"), [{ sequence: 3, ahead: [] }]);
});

test("a new life of an agent starts its sequence anew, and a late duplicate of the old one is still known", async () => {
  await using arena = await openArena();
  const old = batchOf("h1", 1, { failures: failuresOf(attacker, 1, startMs), epoch: "life1" });
  await commitBatches(arena.writer, [old]);
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 1, startMs), epoch: "life2" })]);
  const late = await commitBatches(arena.writer, [old]);
  assert.equal(late.acknowledge[0]?.result, "duplicate");
  assert.deepEqual(await arena.store.rows("select count(*) as count from failures"), [{ count: 2 }]);
});

test("nothing is taken from hosts that are not enrolled or revoked, and nothing is said to them", async () => {
  await using arena = await openArena();
  await setHostState(arena.store, "h2", { state: "revoked" });
  const failures = failuresOf(attacker, 5, startMs);
  const result = await commitBatches(arena.writer, [
    batchOf("h2", 1, { failures }),
    batchOf("stranger", 1, { failures }),
  ]);
  assert.deepEqual(result.strangers, ["h2", "stranger"]);
  assert.deepEqual([result.acknowledge, result.lines, result.commit.decisions], [[], {}, []]);
});

test("a host that does not contribute is acknowledged and counts for nothing", async () => {
  await using arena = await openArena();
  await setHostState(arena.store, "h1", { contribute: false });
  const result = await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 5, startMs) })]);
  assert.deepEqual([result.acknowledge.length, result.lines, result.commit.decisions], [1, {}, []]);
});

test("what is no address is counted as such and kept nowhere", async () => {
  await using arena = await openArena();
  const failures = [...failuresOf("010.0.0.1", 1, startMs), ...failuresOf("127.0.0.1", 1, startMs)];
  const result = await commitBatches(arena.writer, [batchOf("h1", 1, { failures })]);
  assert.deepEqual(result.lines, { invalid: 1, reserved: 1 });
  assert.deepEqual(await arena.store.rows("select count(*) as count from failures"), [{ count: 0 }]);
});

test("a host's own bans are recorded, bounded by its clock and ours", async () => {
  await using arena = await openArena();
  const ahead = { atMs: startMs + minuteMs, net: "192.0.2.7", jail: "sshd", untilMs: startMs + 11 * minuteMs };
  const broken = { atMs: startMs, net: "not a net", jail: "sshd", untilMs: null };
  await commitBatches(arena.writer, [batchOf("h1", 1, { localBans: [ahead, broken] })]);
  const rows = await arena.store.rows("select host, tenant, net::text, started_ms, until_ms from local_bans");
  assert.deepEqual(rows, [
    { host: "h1", tenant: "default", net: "192.0.2.7/32", started_ms: startMs, until_ms: startMs + 11 * minuteMs },
  ]);
});

test("revisions have no gap, and the log leads exactly to the active set", async () => {
  await using arena = await openArena();
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    arena.nowMs = startMs + sequence * 25 * minuteMs;
    const failures = [1, 2, 3].flatMap((host) => failuresOf(`198.51.100.${sequence * 10 + host}`, 3, arena.nowMs));
    await commitBatches(arena.writer, [batchOf("h1", sequence, { failures })]);
  }
  const told = toldOf(arena, "fleet");
  assert.deepEqual(
    told.map((each) => each.revision),
    told.map((_, index) => index + 1),
  );
  assert.ok(
    told.some((each) => each.order.kind === "unban"),
    "bans expired meanwhile",
  );
  const heard = new OrderSet();
  for (const { order, revision } of told) assert.ok(heard.apply(order, revision));
  const stored = await activeSet(arena.store, "fleet");
  const loaded = new OrderSet();
  loaded.replace(stored.standing, stored.revision);
  assert.deepEqual([loaded.revision, loaded.size, loaded.hash], [heard.revision, heard.size, heard.hash]);
  const since = await ordersSince(arena.store, "fleet", 2);
  assert.deepEqual(since, { scope: "fleet", from: 2, orders: told.slice(2).map((each) => each.order) });
});

test("an order log answers nobody who is ahead of it or before its beginning", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  assert.deepEqual(await ordersSince(arena.store, "fleet", 1), { scope: "fleet", from: 1, orders: [] });
  assert.equal(await ordersSince(arena.store, "fleet", 2), undefined);
  await arena.store.rows("delete from orders");
  assert.equal(await ordersSince(arena.store, "fleet", 0), undefined);
});

test("failures count by the coordinator's clock when the agent's runs ahead", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 1, startMs + 90 * secondMs) })]);
  assert.deepEqual(await arena.store.rows("select at_ms, received_ms from failures"), [
    { at_ms: startMs, received_ms: startMs },
  ]);
});

test("what a hostile agent writes costs nobody the transaction", async () => {
  await using arena = await openArena();
  const failures = [
    {
      atMs: -Number.MAX_SAFE_INTEGER * 1000,
      address: attacker,
      jail: "sshd",
      count: 100_000,
      sample: "\0 and \uD800 half",
    },
    { atMs: Number.MAX_SAFE_INTEGER * 1000, address: "::FFFF:192.0.2.5", jail: "sshd", count: 1, sample: "x" },
  ];
  const localBans = [
    { atMs: -Number.MAX_SAFE_INTEGER * 1000, net: "::1.2.3.4/120", jail: "a", untilMs: null },
    { atMs: startMs, net: "0.0.0.0/0", jail: "b", untilMs: Number.MAX_SAFE_INTEGER * 2000 },
  ];
  const sequence = Number.MAX_SAFE_INTEGER;
  const result = await commitBatches(arena.writer, [
    batchOf("h1", sequence, { failures, localBans }),
    batchOf("h2", 1, { failures, epoch: "\0\uD800" }),
  ]);
  assert.deepEqual(result.acknowledge, [{ host: "h1", epoch: "life1", sequence, result: "gap" }]);
  assert.deepEqual(result.strangers, ["h2"]);
  const rows = await arena.store.rows("select host(address) as address, sample from failures order by address");
  assert.deepEqual(rows, [
    { address: attacker, sample: "\uFFFD and \uFFFD half" },
    { address: "192.0.2.5", sample: "x" },
  ]);
});

test("what an admin writes costs no transaction either", async () => {
  await using arena = await openArena();
  const act = { by: "anna", note: "\0\uD800" };
  const ban = await banByHand(arena.writer, act, { net: attacker, scope: "fleet", banTimeMs: null, ports: null });
  assert.equal(ban.note, "\uFFFD\uFFFD");
});
