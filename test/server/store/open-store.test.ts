import assert from "node:assert/strict";
import { test } from "node:test";
import { freshStore } from "../../support/database.ts";

test("opens an empty database with the newest schema", async () => {
  await using store = await freshStore();
  const [row] = await store.rows<{ hosts: number }>("select count(*) as hosts from hosts");
  assert.deepEqual(row, { hosts: 0 });
});
