import assert from "node:assert/strict";
import { test } from "node:test";
import { banByHand } from "../../../server/ingest/admin-acts.ts";
import { askApproval } from "../../../server/ingest/approvals.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { eraseNet } from "../../../server/ingest/erase.ts";
import { eraseAbout, exportAbout, type KeptRecord } from "../../../server/store/privacy.ts";
import { minuteMs } from "../../../shared/durations.ts";
import { type Arena, askedBan, attacker, batchOf, failuresOf, openArena, startMs, toldOf } from "./arena.ts";

const act = { by: "anna", note: "asked by letter" };
const other = "192.0.2.2";
const tables = ["failures", "bans", "local_bans", "stopped_bans", "approvals"] as const;

/** Two offenders: banned, with failures, with a host's own ban, and a second admin asked about them. */
async function twoOffenders(arena: Arena): Promise<void> {
  for (const [index, address] of [attacker, other].entries()) {
    const failures = failuresOf(address, 3, startMs);
    const localBans = [{ atMs: startMs, net: address, jail: "sshd", untilMs: startMs + 10 * minuteMs }];
    await commitBatches(arena.writer, [batchOf("h1", index + 1, { failures, localBans })]);
    await askApproval(arena.writer, act, { token: 1, name: "anna" }, askedBan(address));
  }
}

async function kept(arena: Arena, net: string): Promise<KeptRecord[]> {
  const records: KeptRecord[] = [];
  for await (const record of exportAbout(arena.store, net)) records.push(record);
  return records;
}

function kindsOf(records: readonly KeptRecord[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(records, ({ kind }) => kind)].map(([kind, of]) => [kind, of.length]));
}

test("an export holds everything about an address and nothing about its neighbour", async () => {
  await using arena = await openArena();
  await twoOffenders(arena);
  await banByHand(arena.writer, act, { net: "198.51.100.7", scope: "fleet", banTimeMs: null, ports: null });
  const records = await kept(arena, `${attacker}/32`);
  assert.deepEqual(kindsOf(records), { failure: 3, ban: 1, approval: 1, localBan: 1, order: 1, audit: 1 });
  assert.ok(!JSON.stringify(records).includes(other));
  assert.equal(records.find(({ kind }) => kind === "failure")?.row.at, new Date(startMs).toISOString());
  // What people did to it is in there too.
  assert.deepEqual(kindsOf(await kept(arena, "198.51.100.7/32")), { ban: 1, order: 1, audit: 1 });
});

test("what is erased is gone from tables and judgement, is lifted everywhere, and the neighbour stays", async () => {
  await using arena = await openArena();
  await twoOffenders(arena);
  const erased = await eraseNet(arena.writer, act, attacker);
  assert.deepEqual(erased, { failures: 3, counts: 0, bans: 1, stopped: 0, localBans: 1, approvals: 1 });
  assert.deepEqual(kindsOf(await kept(arena, `${attacker}/32`)), { order: 3, audit: 1 });
  const neighbours = { failure: 3, ban: 1, approval: 1, localBan: 1, order: 1, audit: 1 };
  assert.deepEqual(kindsOf(await kept(arena, `${other}/32`)), neighbours);
  assert.deepEqual(
    toldOf(arena, "fleet").map(({ order }) => order.kind),
    ["ban", "ban", "unban"],
  );
  assert.deepEqual(
    toldOf(arena, "host:h1").map(({ order }) => order.kind),
    ["unban"],
  );
  const explained = await arena.writer.ask((judge, nowMs) => judge.explain(attacker, nowMs));
  assert.deepEqual([explained.bans, explained.windows], [[], []]);
});

test("the audit log says that something was erased and not whose it was", async () => {
  await using arena = await openArena();
  await twoOffenders(arena);
  await eraseNet(arena.writer, act, attacker);
  const [entry] = await arena.store.rows<object>(
    "select action, target, detail from audit order by sequence desc limit 1",
  );
  assert.ok(!JSON.stringify(entry).includes(attacker));
  assert.deepEqual({ ...entry, detail: null }, { action: "erase", target: "an address", detail: null });
});

test("no ban gets the id of an erased one", async () => {
  await using arena = await openArena();
  await twoOffenders(arena);
  const last = await banByHand(arena.writer, act, { net: "203.0.113.9", scope: "fleet", banTimeMs: null, ports: null });
  await eraseNet(arena.writer, act, "203.0.113.9");
  const next = await banByHand(arena.writer, act, { net: "203.0.113.8", scope: "fleet", banTimeMs: null, ports: null });
  assert.equal(next.id, last.id + 1);
});

test("erasing a network erases every address inside it", async () => {
  await using arena = await openArena();
  await twoOffenders(arena);
  await eraseAbout(arena.store, "192.0.2.0/24");
  for (const table of tables) {
    assert.deepEqual(await arena.store.rows(`select count(*) as count from ${table}`), [{ count: 0 }], table);
  }
});
