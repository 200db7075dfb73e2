import assert from "node:assert/strict";
import { test } from "node:test";
import { addRule, banByHand } from "../../../server/ingest/admin-acts.ts";
import { askApproval } from "../../../server/ingest/approvals.ts";
import { eraseNet } from "../../../server/ingest/erase.ts";
import { tick } from "../../../server/ingest/tick.ts";
import { insertStopped } from "../../../server/store/bans.ts";
import { countFailureDays } from "../../../server/store/failure-counts.ts";
import { exceptFromFeeds, replaceEntries } from "../../../server/store/feed-entries.ts";
import { insertFeed, noteGood } from "../../../server/store/feeds.ts";
import { handFailures } from "../../../server/store/handed-failures.ts";
import { finishOnce, startOnce } from "../../../server/store/idempotency.ts";
import type { Sql } from "../../../server/store/sql.ts";
import { dayMs, minuteMs } from "../../../shared/durations.ts";
import { askedBan, batchOf, failuresOf } from "./arena.ts";
import { Colleagues, disorderIn } from "./colleagues.ts";

const act = { by: "anna", note: null };
const attacker = "192.0.2.1";
const neighbour = "192.0.2.11";

/** Tables in which no address of an attacker ever stands. */
const addressless = [
  ...["agent_cursors", "api_tokens", "enrollment_tokens", "failure_days", "hosts", "meta", "partitions", "policies"],
  ...["scopes", "sharers", "tenants"],
];
/** What an erasure leaves for its time; see `eraseAbout`. */
const kept = ["audit", "feed_exceptions", "orders", "rules"];

/** Partitions are read through the table they are of. */
async function everyTable(sql: Sql): Promise<string[]> {
  const tables = await sql.rows<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not relispartition order by 1`,
  );
  return tables.map(({ name }) => name);
}

/** Tables in which an address stands: in any column, as text, in JSON or as a number. */
async function tablesWith(sql: Sql, address: string): Promise<string[]> {
  const key = address.split(".").reduce((value, part) => value * 256 + Number(part), 0);
  const spelled = `(^|[^0-9.])(${address.replaceAll(".", "\\.")}|${key})([^0-9.]|$)`;
  const found: string[] = [];
  for (const name of await everyTable(sql)) {
    const rows = await sql.rows(`select from ${name} as each where each::text ~ $1 limit 1`, [spelled]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

/** Does everything that writes an address down somewhere. */
async function leaveTraces(colleagues: Colleagues, address: string, sequence: number): Promise<void> {
  const { store, leader } = colleagues;
  const localBans = [{ atMs: colleagues.nowMs, net: address, jail: "sshd", untilMs: colleagues.nowMs + 10 * minuteMs }];
  await colleagues.take(batchOf("h1", sequence, { failures: failuresOf(address, 3, colleagues.nowMs), localBans }));
  await colleagues.settle();
  await askApproval(leader, act, { token: 1, name: "anna" }, askedBan(address));
  await banByHand(leader, act, { net: address, scope: "tenant:default", banTimeMs: null, ports: null });
  await addRule(leader, act, { kind: "allow", net: address, tenant: "a", reason: "x", untilMs: null });
  const refused = { kind: "refused", atMs: colleagues.nowMs, net: `${address}/32`, scope: "fleet", why: "x" } as const;
  const evidence = { hosts: 1, tenants: 1, failures: 3 };
  await insertStopped(store, [{ ...refused, ports: null, reason: "jail sshd", evidence, tenant: null } as never]);
  const feed = `feed-${sequence}`;
  const from = { name: feed, source: "file:list.txt", mode: "observe", note: "x", entriesMax: 10 } as const;
  const when = { everyMs: dayMs, ttlMs: dayMs, createdMs: colleagues.nowMs, createdBy: "anna" };
  await insertFeed(store, { ...from, ...when });
  await replaceEntries(store, feed, [`${address}/32`], colleagues.nowMs);
  const report = { listed: 1, badLines: 0, leftOut: {}, examples: { allowed: [address] }, guard: "" };
  await noteGood(store, feed, { nowMs: colleagues.nowMs, etag: null, modified: null, report, isChanged: true });
  const lifted = {
    kind: "unban",
    id: 7,
    atMs: 0,
    net: `${address}/32`,
    scope: "fleet",
    reason: "admin",
    feed,
  } as const;
  await exceptFromFeeds(store, [lifted], act, colleagues.nowMs);
  await startOnce(store, 1, `key ${sequence}`, "hash", colleagues.nowMs);
  const body = JSON.stringify({ id: 1, net: `${address}/32` });
  await finishOnce(store, 1, `key ${sequence}`, { status: 201, body, etag: null });
}

async function traces(): Promise<Colleagues> {
  const colleagues = await Colleagues.open({ default: ["h1", "h2"], a: ["a1"] }, 2);
  for (const [index, address] of [attacker, neighbour].entries()) {
    await leaveTraces(colleagues, address, index + 1);
  }
  await countFailureDays(colleagues.store, colleagues.nowMs + dayMs, 0);
  // On their way to their judge, together.
  const handed = [attacker, neighbour].map((address) => ({
    ...{ atMs: colleagues.nowMs, tenant: "default", host: "h1", jail: "sshd", address, count: 1, sample: null },
  }));
  await handFailures(colleagues.store, new Map([[7, handed]]));
  return colleagues;
}

test("an erased address stands in no table but those that say why, and its neighbour stays in all of them", async () => {
  await using colleagues = await traces();
  const { store, leader } = colleagues;
  const before = await tablesWith(store, attacker);
  // A new table is one or the other: whoever adds it decides, and erases what must be erased.
  assert.deepEqual([...before, ...addressless].toSorted(), await everyTable(store));
  await eraseNet(leader, act, attacker);
  assert.deepEqual(await tablesWith(store, attacker), kept);
  // What coordinators tell each other lives for an hour, and all of it is told anew from the tables.
  assert.deepEqual(
    await tablesWith(store, neighbour),
    before.filter((table) => table !== "deeds"),
  );
});

test("after an erasure the other coordinators go on with what is left", async () => {
  await using colleagues = await traces();
  await eraseNet(colleagues.leader, act, attacker);
  for (const writer of colleagues.writers) {
    await tick(writer);
    const { bans, windows } = await writer.ask((judge, nowMs) => judge.explain(attacker, nowMs));
    assert.deepEqual([bans, windows], [[], []]);
  }
  await colleagues.settle();
  await colleagues.take(batchOf("h2", 1, { failures: failuresOf("198.51.100.7", 3, colleagues.nowMs) }));
  await colleagues.settle();
  const standing = await colleagues.store.rows(
    "select net from bans where ended_ms is null and scope = 'fleet' order by 1",
  );
  assert.deepEqual(standing, [{ net: `${neighbour}/32` }, { net: "198.51.100.7/32" }]);
  assert.deepEqual(
    (await disorderIn(colleagues.store)).filter(({ what }: { what?: string }) => what !== "ids with a gap"),
    [],
  );
});
