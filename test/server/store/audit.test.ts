import assert from "node:assert/strict";
import { test } from "node:test";
import { appendAudit, listAudit, verifyAudit } from "../../../server/store/audit.ts";
import type { Store } from "../../../server/store/open-store.ts";
import { freshStore } from "../../support/database.ts";

async function fill(store: Store, entries: number): Promise<void> {
  for (let index = 1; index <= entries; index += 1) {
    const detail = { zulu: index, alpha: { b: [1, 2], a: undefined }, note: null };
    await appendAudit(store, { atMs: index, actor: "anna", action: "ban", target: `192.0.2.${index}/32`, detail });
  }
}

/** As somebody would who owns the database. */
async function tamper(store: Store, statement: string): Promise<void> {
  await store.rows("alter table audit disable trigger all");
  await store.rows(statement);
  await store.rows("alter table audit enable trigger all");
}

test("an untouched chain verifies and reads newest first", async () => {
  await using store = await freshStore();
  await fill(store, 3);
  assert.equal(await verifyAudit(store), null);
  assert.deepEqual(
    (await listAudit(store, 3, 10)).map((each) => each.sequence),
    [2, 1],
  );
});

test("the database refuses to change or remove entries", async () => {
  await using store = await freshStore();
  await fill(store, 2);
  for (const statement of ["update audit set actor = 'nobody'", "delete from audit", "truncate audit"]) {
    await assert.rejects(store.rows(statement), /append-only/);
  }
});

for (const [what, statement, found] of [
  ["changed", "update audit set actor = 'nobody' where sequence = 2", 2],
  ["a detail of which was changed", `update audit set detail = '{"zulu": 9}' where sequence = 3`, 3],
  ["removed", "delete from audit where sequence = 2", 3],
] as const) {
  test(`an entry that was ${what} is found`, async () => {
    await using store = await freshStore();
    await fill(store, 4);
    await tamper(store, statement);
    assert.equal(await verifyAudit(store), found);
  });
}

test("entries written at once form one chain", async () => {
  await using store = await freshStore();
  const entry = { atMs: 1, actor: "anna", action: "ban", target: "x", detail: {} };
  await Promise.all(Array.from({ length: 10 }, () => store.transaction((sql) => appendAudit(sql, entry))));
  assert.equal(await verifyAudit(store), null);
  assert.equal((await listAudit(store, null, 100)).length, 10);
});
