import assert from "node:assert/strict";
import { test } from "node:test";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { prune, retention } from "../../../server/jobs/prune.ts";
import { dayOf } from "../../../server/store/day-tables.ts";
import { attacksPerDay, countFailureDays, holdCounting, seenSince } from "../../../server/store/failure-counts.ts";
import { parseNet } from "../../../shared/address.ts";
import { dayMs, hourMs, minuteMs } from "../../../shared/durations.ts";
import { type Arena, attacker, batchOf, failuresOf, openArena, startMs } from "../ingest/arena.ts";

const netOf = (text: string) => parseNet(text) ?? assert.fail(text);
const firstDay = dayOf(startMs);

/** Two failures by each host on each of `days` days, the first at `startMs`. */
async function attackFor(arena: Arena, days: number, address = attacker): Promise<void> {
  for (let day = 0; day < days; day += 1) {
    arena.nowMs = startMs + day * dayMs;
    for (const host of ["h1", "h2"]) {
      const failures = failuresOf(address, 2, arena.nowMs);
      await commitBatches(arena.writer, [batchOf(host, day + 1, { failures })]);
    }
  }
}

const seen = (arena: Arena, text = attacker, tenant: string | null = null) =>
  seenSince(arena.store, netOf(text), tenant, arena.nowMs - retention.countsMs);

/** As the clock does: counting every hour, forgetting every night. */
async function passDays(arena: Arena, days: number): Promise<void> {
  for (let day = 0; day < days; day += 1) {
    arena.nowMs += dayMs;
    await countFailureDays(arena.store, arena.nowMs, arena.nowMs - retention.countsMs);
    await prune(arena.store, arena.nowMs);
  }
}

test("what was seen of an address is the same before and after its days are counted, and after its failures are forgotten", async () => {
  await using arena = await openArena();
  await attackFor(arena, 3);
  await commitBatches(arena.writer, [batchOf("h1", 9, { failures: failuresOf("192.0.2.2", 1, arena.nowMs) })]);
  const expected = {
    ...{ failures: 12, hosts: 2 },
    perDay: [0, 1, 2].map((day) => ({ dayMs: firstDay + day * dayMs, failures: 4, hosts: 2 })),
  };
  assert.deepEqual(await seen(arena), expected);
  assert.equal(await countFailureDays(arena.store, arena.nowMs, 0), 2, "today is not over");
  assert.deepEqual(await seen(arena), expected);
  await passDays(arena, 20);
  assert.deepEqual(await arena.store.rows("select from failures"), []);
  assert.deepEqual(await seen(arena), expected);
  assert.deepEqual(await seen(arena, "192.0.2.0/24"), {
    ...{ failures: 13, hosts: 2 },
    perDay: expected.perDay.map((day, index) => (index === 2 ? { ...day, failures: 5 } : day)),
  });
});

test("counts are forgotten by whole days, 30 days after the day they count, and are not counted again", async () => {
  await using arena = await openArena();
  await attackFor(arena, 2);
  await passDays(arena, 29);
  assert.equal((await seen(arena)).failures, 4 + 4);
  await passDays(arena, 1);
  assert.equal((await seen(arena)).failures, 4);
  await passDays(arena, 1);
  assert.deepEqual(await seen(arena), { failures: 0, hosts: 0, perDay: [] });
  assert.deepEqual(
    await arena.store.rows(
      "select * from failure_counts union all select null, null, tenant, null, jail, failures from failure_days",
    ),
    [],
  );
});

test("failures that a policy keeps for longer than the counts are not counted anew each night", async () => {
  await using arena = await openArena();
  await attackFor(arena, 1);
  const laterMs = startMs + retention.countsMs + 2 * dayMs;
  assert.equal(await countFailureDays(arena.store, laterMs, laterMs - retention.countsMs), 0);
});

test("a day is counted once, ten minutes after its end: another coordinator's clock may be late", async () => {
  await using arena = await openArena();
  await attackFor(arena, 1);
  const overMs = firstDay + dayMs;
  assert.equal(await countFailureDays(arena.store, overMs + 10 * minuteMs - 1, 0), 0);
  assert.equal(await countFailureDays(arena.store, overMs + 10 * minuteMs, 0), 1);
  assert.equal(await countFailureDays(arena.store, overMs + hourMs, 0), 0);
  assert.equal((await seen(arena)).failures, 4);
});

test("counting that fails in the middle leaves nothing behind and is made good by the next", async () => {
  await using arena = await openArena();
  await attackFor(arena, 1);
  const broken = {
    ...arena.store,
    transaction: <T>(work: (sql: typeof arena.store) => Promise<T>) =>
      arena.store.transaction(async (sql) => {
        await work({ ...arena.store, ...sql });
        throw new Error("pulled the plug");
      }),
  };
  const laterMs = startMs + dayMs;
  await assert.rejects(countFailureDays(broken as typeof arena.store, laterMs, 0), /plug/);
  assert.equal(await countFailureDays(arena.store, laterMs, 0), 1);
  arena.nowMs = laterMs;
  assert.equal((await seen(arena)).failures, 4);
});

test("an IPv6 address is counted with its /64, and a tenant sees only its own", async () => {
  await using arena = await openArena({ default: ["h1"], acme: ["web-1"] });
  for (const [host, address] of [
    ["h1", "2001:db8::1"],
    ["web-1", "2001:db8::2"],
  ] as const) {
    await commitBatches(arena.writer, [batchOf(host, 1, { failures: failuresOf(address, 2, startMs) })]);
  }
  for (const days of [0, 1]) {
    arena.nowMs = startMs + days * dayMs;
    await countFailureDays(arena.store, arena.nowMs, 0);
    assert.deepEqual([(await seen(arena, "2001:db8::7")).failures, (await seen(arena, "2001:db8::/32")).hosts], [4, 2]);
    assert.equal((await seen(arena, "2001:db8::7", "acme")).failures, 2);
  }
});

test("lines per day and jail are those of the tenant, of days that are over", async () => {
  await using arena = await openArena();
  await attackFor(arena, 2);
  await commitBatches(arena.writer, [batchOf("h1", 9, { failures: failuresOf(attacker, 5, startMs, "dovecot") })]);
  await countFailureDays(arena.store, startMs + 2 * dayMs, 0);
  const days = await attacksPerDay(arena.store, null, startMs);
  assert.deepEqual(days, [
    { atMs: firstDay, jail: "sshd", count: 4 },
    { atMs: firstDay + dayMs, jail: "dovecot", count: 5 },
    { atMs: firstDay + dayMs, jail: "sshd", count: 4 },
  ]);
  assert.deepEqual(await attacksPerDay(arena.store, "acme", startMs), []);
});

test("nothing is erased while a day is being counted: it would come back with the counts", async () => {
  await using arena = await openArena();
  const counting = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const holding = arena.store.transaction(async (sql) => {
    await holdCounting(sql);
    begun.resolve();
    await counting.promise;
  });
  await begun.promise;
  await assert.rejects(arena.store.transaction(holdCounting), /are being counted; try again/);
  counting.resolve();
  await holding;
  await arena.store.transaction(holdCounting);
});
