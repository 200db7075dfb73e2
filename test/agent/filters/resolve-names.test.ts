import assert from "node:assert/strict";
import { test } from "node:test";
import type { FoundFailure } from "../../../agent/filters/found-failure.ts";
import { cachedResolver, resolveFailure } from "../../../agent/filters/resolve-names.ts";

const named: FoundFailure = {
  id: "mail.example.com",
  ip: null,
  name: "mail.example.com",
  atMs: 1,
  user: null,
  users: null,
  count: 1,
  lines: [],
  data: new Map(),
};

test("a name becomes one failure per address, each once, canonical and valid", async () => {
  const found = await resolveFailure(named, async () => ["192.0.2.1", "2001:DB8::1", "::ffff:192.0.2.1", "nonsense"]);
  assert.deepEqual(
    found.map((each) => [each.id, each.ip, each.name]),
    [
      ["192.0.2.1", "192.0.2.1", null],
      ["2001:db8::1", "2001:db8::1", null],
    ],
  );
});

test("a name without addresses makes no failure", async () => {
  assert.deepEqual(await resolveFailure(named, async () => []), []);
});

test("a name cannot stand for a list of bans", async () => {
  const many = Array.from({ length: 200 }, (_, index) => `192.0.2.${index}`);
  assert.equal((await resolveFailure(named, async () => many)).length, 8);
});

test("an address is not looked up", async () => {
  const failure = { ...named, name: null, ip: "192.0.2.1" };
  const found = await resolveFailure(failure, () => assert.fail("no query is needed"));
  assert.deepEqual(found, [failure]);
});

test("answers and errors are kept for five minutes", async () => {
  let nowMs = 0;
  let queries = 0;
  const resolve = cachedResolver(
    async () => {
      queries += 1;
      if (queries === 1) throw new Error("no such name");
      return ["192.0.2.1"];
    },
    () => nowMs,
  );
  assert.deepEqual(await resolve("a.example"), []);
  nowMs = 299_999;
  assert.deepEqual(await resolve("a.example"), []);
  nowMs = 300_000;
  assert.deepEqual(await resolve("a.example"), ["192.0.2.1"]);
  assert.equal(queries, 2);
});
