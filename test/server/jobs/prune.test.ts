import assert from "node:assert/strict";
import { test } from "node:test";
import { banByHand, decideHeld, setPolicy, unbanById } from "../../../server/ingest/admin-acts.ts";
import { askApproval } from "../../../server/ingest/approvals.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { prune, retention } from "../../../server/jobs/prune.ts";
import { appendAudit, verifyAudit } from "../../../server/store/audit.ts";
import { insertPolicy } from "../../../server/store/policies.ts";
import { dayMs, hourMs } from "../../../shared/durations.ts";
import { askedBan, attacker, batchOf, failuresOf, openArena, startMs } from "../ingest/arena.ts";

const act = { by: "anna", note: null };

async function count(sql: { rows<Row extends object>(text: string): Promise<Row[]> }, table: string): Promise<number> {
  const [row] = await sql.rows<{ count: number }>(`select count(*) as count from ${table}`);
  return row?.count ?? -1;
}

test("evidence is forgotten by whole days, seven days after the day it arrived", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) })]);
  const nextMidnight = Math.ceil(startMs / dayMs) * dayMs;
  const early = await prune(arena.store, nextMidnight + retention.failuresMs - 1);
  assert.deepEqual([early.failureDays, await count(arena.store, "failures")], [0, 2]);
  const due = await prune(arena.store, nextMidnight + retention.failuresMs);
  assert.deepEqual([due.failureDays, await count(arena.store, "failures")], [1, 0]);
});

test("failures that a policy still judges by are not forgotten", async () => {
  await using arena = await openArena();
  await insertPolicy(arena.store, "jails: { sshd: { findtime: 30d } }", "anna", startMs);
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) })]);
  await prune(arena.store, startMs + 29 * dayMs);
  assert.equal(await count(arena.store, "failures"), 2);
});

test("failures that arrive days later than the last have a table to go to", async () => {
  await using arena = await openArena();
  for (const [index, days] of [0, 1, 2, 5].entries()) {
    arena.nowMs = startMs + days * dayMs;
    await commitBatches(arena.writer, [batchOf("h1", index + 1, { failures: failuresOf(attacker, 1, arena.nowMs) })]);
  }
  assert.equal(await count(arena.store, "failures"), 4);
});

test("ended bans are forgotten after 180 days, standing ones and the last id never", async () => {
  await using arena = await openArena();
  const ban = (net: string) => banByHand(arena.writer, act, { net, scope: "fleet", banTimeMs: null, ports: null });
  const [ended, standing, last] = [await ban("192.0.2.1"), await ban("192.0.2.2"), await ban("192.0.2.3")];
  await unbanById(arena.writer, act, ended.id, "admin");
  await unbanById(arena.writer, act, last.id, "admin");
  assert.equal((await prune(arena.store, startMs + retention.bansMs)).bans, 0);
  assert.equal((await prune(arena.store, startMs + retention.bansMs + dayMs)).bans, 1);
  const left = await arena.store.rows("select id from bans order by id");
  assert.deepEqual(left, [{ id: standing.id }, { id: last.id }]);
});

test("the audit log is forgotten from its old end and still verifies", async () => {
  await using arena = await openArena();
  for (let day = 0; day < 5; day += 1) {
    const atMs = startMs + day * dayMs;
    await appendAudit(arena.store, { atMs, actor: "anna", action: "test", target: "x", detail: { day } });
  }
  const { audit } = await prune(arena.store, startMs + retention.auditMs + 2 * dayMs + 1);
  assert.equal(audit, 3);
  assert.equal(await verifyAudit(arena.store), null);
});

test("orders are forgotten, but each scope keeps its last, and the revision goes on", async () => {
  await using arena = await openArena();
  for (const host of [1, 2, 3]) {
    await banByHand(arena.writer, act, { net: `192.0.2.${host}`, scope: "fleet", banTimeMs: null, ports: null });
  }
  assert.equal((await prune(arena.store, startMs + retention.ordersMs + hourMs)).orders, 2);
  const ban = await banByHand(arena.writer, act, { net: "192.0.2.4", scope: "fleet", banTimeMs: null, ports: null });
  assert.equal(ban.startRevision, 4);
});

test("what was held or refused, what a second admin was asked and hosts' own bans are forgotten 30 days after they are over", async () => {
  await using arena = await openArena();
  const localBans = [{ atMs: startMs, net: attacker, jail: "sshd", untilMs: startMs + hourMs }];
  await commitBatches(arena.writer, [batchOf("h1", 1, { localBans })]);
  await setPolicy(arena.writer, act, "limits: { fleetBansPerMinute: 0 }");
  await commitBatches(arena.writer, [batchOf("h1", 2, { failures: failuresOf(attacker, 3, startMs) })]);
  await askApproval(arena.writer, act, { token: 1, name: "anna" }, askedBan(attacker));
  const left = async () => [
    await count(arena.store, "stopped_bans"),
    await count(arena.store, "local_bans"),
    await count(arena.store, "approvals"),
  ];
  await prune(arena.store, startMs + retention.incidentsMs);
  assert.deepEqual(await left(), [1, 1, 1]);
  await prune(arena.store, startMs + retention.incidentsMs + hourMs + 1);
  assert.deepEqual(await left(), [1, 0, 1], "what is held waits for an admin, and a request a week for its answer");
  await decideHeld(arena.writer, act, "drop", { net: attacker, scope: "fleet" });
  await prune(arena.store, startMs + retention.incidentsMs + 7 * dayMs + 1);
  assert.deepEqual(await left(), [0, 0, 0]);
});
