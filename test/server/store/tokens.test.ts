import assert from "node:assert/strict";
import { test } from "node:test";
import { insertTenant } from "../../../server/store/tenants.ts";
import {
  countApiTokens,
  findApiToken,
  insertApiToken,
  insertEnrollmentToken,
  listApiTokens,
  revokeApiToken,
  useEnrollmentToken,
} from "../../../server/store/tokens.ts";
import { hourMs, minuteMs } from "../../../shared/durations.ts";
import { freshStore } from "../../support/database.ts";

const nowMs = Date.UTC(2026, 10, 22);
const admin = { name: "first", role: "admin", tenant: null, createdMs: nowMs, untilMs: nowMs + hourMs } as const;

test("a token is good until its time, and not at it", async () => {
  await using store = await freshStore();
  const { token, id } = await insertApiToken(store, admin);
  assert.match(token, /^f2b_[\w-]{32}$/);
  assert.equal((await findApiToken(store, token, nowMs + hourMs - 1))?.id, id);
  assert.equal(await findApiToken(store, token, nowMs + hourMs), undefined);
  assert.equal(await findApiToken(store, `${token}x`, nowMs), undefined);
});

test("a revoked token is worth nothing and stays listed", async () => {
  await using store = await freshStore();
  const { token, id } = await insertApiToken(store, admin);
  await revokeApiToken(store, id, nowMs + 1);
  await revokeApiToken(store, id, nowMs + 2);
  assert.equal(await findApiToken(store, token, nowMs + 3), undefined);
  assert.deepEqual(
    (await listApiTokens(store, null)).map((each) => each.revokedMs),
    [nowMs + 1],
  );
  assert.equal(await revokeApiToken(store, 99, nowMs), undefined);
});

test("the secret is in no column", async () => {
  await using store = await freshStore();
  const { token } = await insertApiToken(store, admin);
  const [row] = await store.rows("select * from api_tokens");
  assert.ok(!JSON.stringify(row).includes(token.slice(4)));
});

test("last use is written at most once a minute", async () => {
  await using store = await freshStore();
  const { token } = await insertApiToken(store, admin);
  for (const atMs of [nowMs, nowMs + 1, nowMs + minuteMs - 1]) await findApiToken(store, token, atMs);
  assert.equal((await listApiTokens(store, null))[0]?.lastUsedMs, nowMs);
  await findApiToken(store, token, nowMs + minuteMs);
  assert.equal((await listApiTokens(store, null))[0]?.lastUsedMs, nowMs + minuteMs);
});

test("a tenant sees its own tokens only", async () => {
  await using store = await freshStore();
  await insertApiToken(store, admin);
  await insertApiToken(store, { ...admin, name: "theirs", tenant: "a" });
  assert.deepEqual(
    (await listApiTokens(store, "a")).map((each) => each.name),
    ["theirs"],
  );
  assert.equal(await countApiTokens(store), 2);
});

test("an enrolment token enrols as often as it says and not after its time, also when used at once", async () => {
  await using store = await freshStore();
  await insertTenant(store, "a", "vote", nowMs);
  const right = { tenant: "a", host: null, uses: 2, createdMs: nowMs, createdBy: "anna", untilMs: nowMs + hourMs };
  const { token } = await insertEnrollmentToken(store, right);
  assert.match(token, /^[0-9a-f]{40}$/);
  assert.equal(await useEnrollmentToken(store, token, nowMs + hourMs), undefined);
  const used = await Promise.all([1, 2, 3, 4].map(() => useEnrollmentToken(store, token, nowMs)));
  assert.deepEqual(
    used.filter((each) => each !== undefined),
    [
      { tenant: "a", host: null },
      { tenant: "a", host: null },
    ],
  );
});
