import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addRule, banByHand, unbanById } from "../../../server/ingest/admin-acts.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { countStanding, listBans } from "../../../server/store/ban-lists.ts";
import { explainNet } from "../../../server/store/explain.ts";
import { countFailures, recentFailures } from "../../../server/store/failures.ts";
import { listRules } from "../../../server/store/rules.ts";
import { formatNet, type Net, widen } from "../../../shared/address.ts";
import { hourMs } from "../../../shared/durations.ts";
import { freshStore } from "../../support/database.ts";
import { attacker, batchOf, failuresOf, openArena, startMs } from "../ingest/arena.ts";

const act = { by: "anna", note: null };

test("an explanation holds every layer about an address and nothing about its neighbours", async () => {
  await using arena = await openArena({ default: ["h1"], a: ["a1"] });
  const ban = (net: string, scope: "fleet" | "tenant:a" = "fleet") =>
    banByHand(arena.writer, act, { net, scope, banTimeMs: null, ports: null });
  const wide = await ban("192.0.2.0/24");
  const ended = await ban(attacker);
  await unbanById(arena.writer, act, ended.id, "admin");
  const theirs = await ban(attacker, "tenant:a");
  await ban("192.0.2.2");
  await addRule(arena.writer, act, { kind: "allow", net: "192.0.3.0/24", tenant: null, reason: "x", untilMs: null });
  const failures = [...failuresOf(attacker, 2, startMs + 2000), ...failuresOf("192.0.2.2", 1, startMs)];
  const localBans = [{ atMs: startMs, net: "192.0.2.0/28", jail: "sshd", untilMs: startMs + hourMs }];
  arena.nowMs = startMs + 2000;
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures, localBans })]);

  const all = await explainNet(arena.store, "192.0.2.1/32", null, arena.nowMs);
  assert.deepEqual(
    all.bans.map((each) => each.id),
    [theirs.id, wide.id],
  );
  assert.deepEqual(
    all.history.map((each) => each.id),
    [ended.id],
  );
  assert.deepEqual(
    all.localBans.map((each) => [each.host, each.net]),
    [["h1", "192.0.2.0/28"]],
  );
  assert.deepEqual(all.rules, []);
  assert.deepEqual(all.evidence, [
    { tenant: "default", host: "h1", jail: "sshd", failures: 2, firstMs: startMs + 1000, lastMs: startMs + 2000 },
  ]);
  const asTenant = await explainNet(arena.store, "192.0.2.1/32", "b", arena.nowMs);
  assert.deepEqual([asTenant.bans.map((each) => each.id), asTenant.localBans, asTenant.evidence], [[wide.id], [], []]);
});

test("lists are filtered, paged and newest first", async () => {
  await using arena = await openArena({ default: ["h1"], a: ["a1"] });
  for (const [net, scope] of [
    ["192.0.2.1", "fleet"],
    ["192.0.2.2", "tenant:a"],
    ["198.51.100.1", "host:a1"],
  ] as const) {
    await banByHand(arena.writer, act, { net, scope, banTimeMs: null, ports: null });
  }
  await unbanById(arena.writer, act, 1, "admin");
  const ids = async (filter: Parameters<typeof listBans>[1], limit = 10) =>
    (await listBans(arena.store, filter, limit)).map((each) => each.id);
  assert.deepEqual(await ids({}), [3, 2, 1]);
  assert.deepEqual(await ids({}, 1), [3]);
  assert.deepEqual(await ids({ after: { id: 3, untilMs: null } }), [2, 1]);
  assert.deepEqual(await ids({ active: true }), [3, 2]);
  assert.deepEqual(await ids({ net: "192.0.2.0/24" }), [2, 1]);
  assert.deepEqual(await ids({ scope: "tenant:a" }), [2]);
  assert.deepEqual(await ids({ tenant: "default" }), [1]);
  assert.deepEqual(await ids({ tenant: "a" }), [3, 2, 1]);
  assert.deepEqual(await countStanding(arena.store, null), { active: 2, byLevel: { manual: 2 } });
  assert.deepEqual(await countStanding(arena.store, "default"), { active: 0, byLevel: {} });
});

test("rules are listed for the fleet, and a tenant's own for the tenant", async () => {
  await using arena = await openArena({ default: ["h1"], a: ["a1"], b: ["b1"] });
  for (const tenant of [null, "a", "b"]) {
    await addRule(arena.writer, act, { kind: "allow", net: "192.0.2.0/24", tenant, reason: "x", untilMs: null });
  }
  const tenants = async (tenant: string | null) =>
    (await listRules(arena.store, "allow", tenant, null, 10)).map((each) => each.tenant);
  assert.deepEqual(await tenants(null), ["b", "a", null]);
  assert.deepEqual(await tenants("a"), ["a"]);
  assert.deepEqual(await listRules(arena.store, "never", null, null, 10), []);
});

test("recent failures and their number are the tenant's own", async () => {
  await using arena = await openArena({ default: ["h1"], a: ["a1"] });
  await commitBatches(arena.writer, [
    batchOf("h1", 1, { failures: failuresOf(attacker, 1, startMs) }),
    batchOf("a1", 1, { failures: failuresOf("2001:db8::5", 2, startMs) }),
  ]);
  assert.equal(await countFailures(arena.store, null, startMs - 1), 3);
  assert.equal(await countFailures(arena.store, "a", startMs - 1), 2);
  const recent = await recentFailures(arena.store, "a", 10, startMs);
  assert.deepEqual(
    recent.map((each) => [each.host, each.address]),
    [
      ["a1", "2001:db8::5"],
      ["a1", "2001:db8::5"],
    ],
  );
});

test("the database writes networks as we do, so that both sides' hashes agree", async () => {
  await using store = await freshStore();
  const v4 = fc.tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 32 }));
  const group = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn }));
  const v6 = fc.tuple(fc.array(group, { minLength: 8, maxLength: 8 }), fc.integer({ min: 0, max: 128 }));
  const nets = [
    ...fc.sample(v4, 500).map(([value, prefix]): Net => widen({ family: 4, value, prefix: 32 }, prefix)),
    ...fc.sample(v6, 2000).map(([groups, prefix]): Net => {
      const value = groups.reduce((sum, each) => (sum << 16n) | each, 0n);
      return widen({ family: 6, value, prefix: 128 }, prefix);
    }),
  ]
    .map(formatNet)
    // IPv4 written as IPv6 is IPv4 to us: `parseNet` makes no such network, so none reaches the database.
    .filter((net) => !/^::ffff:/.test(net));
  const rows = await store.rows<{ net: string }>("select net::cidr from unnest($1::text[]) as net", [nets]);
  assert.deepEqual(
    rows.map((row) => row.net),
    nets,
  );
});
