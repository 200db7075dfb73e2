import assert from "node:assert/strict";
import { test } from "node:test";
import { keyValues, withinKeys } from "../../../server/store/address-key.ts";
import { FailureCopy } from "../../../server/store/failure-copy.ts";
import { createFailureDays, type FailureRow, insertFailures } from "../../../server/store/failures.ts";
import { freshStore } from "../../support/database.ts";

const nowMs = Date.UTC(2026, 10, 22, 9);
const row: FailureRow = {
  ...{ atMs: nowMs - 1500, address: "192.0.2.1", count: 1 },
  ...{ tenant: "default", host: "h1", jail: "sshd", weight: "fleet", sample: null },
};

test("failures come out of the database as they went in, whatever the address, date and text", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  const rows: FailureRow[] = [
    row,
    { ...row, atMs: 0, count: 2_147_483_647, sample: "" },
    { ...row, atMs: 0xffff_ffff, sample: "Zeile für 日本 🚫 \t\\N" },
    { ...row, atMs: 0x1_0000_0000, address: "255.255.255.255" },
    { ...row, address: "2001:db8::ffff:0:1" },
    { ...row, address: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", sample: "x".repeat(256) },
    { ...row, address: "::ffff:198.51.100.7" },
  ];
  await insertFailures(store, rows, nowMs);
  const found = await store.rows(
    `select at_ms as "atMs", host(address) as address, count, tenant, host, jail, weight, sample from failures`,
  );
  const expected = rows.map((each) => ({ ...each, address: each.address.replace("::ffff:198", "198") }));
  assert.deepEqual(found, expected);
  assert.deepEqual(await store.rows("select distinct received_ms from failures"), [{ received_ms: nowMs }]);
});

test("ten thousand failures are one statement, more than one packet and all there", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  const rows = Array.from({ length: 10_000 }, (_, index) => ({
    ...row,
    count: index + 1,
    sample: "x".repeat(index % 200),
  }));
  await insertFailures(store, rows, nowMs);
  const found = await store.rows("select count(*) as rows, sum(count)::bigint as sum from failures");
  assert.deepEqual(found, [{ rows: 10_000, sum: 50_005_000 }]);
});

test("a copy that is refused says why, and the connection is good for the next statement", async () => {
  await using store = await freshStore();
  // No table for the day.
  await assert.rejects(insertFailures(store, [row], nowMs), /no partition/);
  await assert.rejects(
    store.transaction((sql) => insertFailures(sql, [row], nowMs)),
    /no partition/,
  );
  await store.ping();
  await createFailureDays(store, nowMs);
  await store.transaction((sql) => insertFailures(sql, [row], nowMs));
  assert.deepEqual(await store.rows("select count(*) as count from failures"), [{ count: 1 }]);
});

test("a connection that dies during a copy is a database that is away", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  await store.rows(`create function die() returns trigger language plpgsql as
    $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$`);
  await store.rows("create trigger die before insert on failures for each row execute function die()");
  await assert.rejects(insertFailures(store, [row, row], nowMs), { code: "unavailable" });
  await store.ping();
});

const addressOf = (index: number) => `198.51.${index >> 8}.${index & 255}`;

test("a copy in parts is one copy; what of it is sent and then given up is not kept", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  const sendMany = async (sql: Parameters<Parameters<typeof store.transaction>[0]>[0], mistake: boolean) => {
    await using copy = new FailureCopy(sql, nowMs);
    for (let index = 0; index < 12_500; index += 1) {
      copy.rows.push({ ...row, address: addressOf(index) });
      await copy.sendWhenMany();
    }
    if (mistake) throw new Error("in the middle of it");
    await copy.end();
  };
  await assert.rejects(
    store.transaction((sql) => sendMany(sql, true)),
    /in the middle of it/,
  );
  assert.deepEqual(await store.rows("select count(*) as count from failures"), [{ count: 0 }]);
  await store.transaction((sql) => sendMany(sql, false));
  assert.deepEqual(await store.rows("select count(*) as count from failures"), [{ count: 12_500 }]);
});

test("a copy that is refused while it is being sent ends, however much would still come", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  const many = async (sql: Parameters<Parameters<typeof store.transaction>[0]>[0]) => {
    // Nobody has made a table for that day.
    await using copy = new FailureCopy(sql, 0);
    for (let index = 0; index < 200_000; index += 1) {
      copy.rows.push(row);
      await copy.sendWhenMany();
    }
    await copy.end();
  };
  await assert.rejects(store.transaction(many), /no partition/);
  await store.ping();
});

test("failures of a net are found by their keys: its first and its last address, and nothing beside it", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  const addresses = [
    ...["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", "255.255.255.255", "0.0.0.0"],
    ...["2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::", "2001:db8:0:2::7", "2001:db8:0:2:ffff:ffff:ffff:ffff"],
    ...["2001:db8:0:3::", "7fff::", "8000::", "::c000:200"],
  ];
  await insertFailures(
    store,
    addresses.map((address) => ({ ...row, address })),
    nowMs,
  );
  const found = async (net: string) => {
    const rows = await store.rows<{ address: string }>(
      `select host(address) as address from failures where ${withinKeys(1)}`,
      keyValues(net),
    );
    return rows.map(({ address }) => address).toSorted();
  };
  assert.deepEqual(await found("192.0.2.0/24"), ["192.0.2.0", "192.0.2.255"]);
  assert.deepEqual(await found("192.0.2.255/32"), ["192.0.2.255"]);
  assert.deepEqual(await found("2001:db8:0:2::/64"), [
    "2001:db8:0:2::",
    "2001:db8:0:2::7",
    "2001:db8:0:2:ffff:ffff:ffff:ffff",
  ]);
  assert.deepEqual(await found("2001:db8:0:2::7/128"), ["2001:db8:0:2::7"]);
  assert.equal((await found("0.0.0.0/0")).length, 6);
  assert.equal((await found("::/0")).length, 8);
  assert.deepEqual(await found("8000::/1"), ["8000::"]);
});
