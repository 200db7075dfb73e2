import assert from "node:assert/strict";
import { test } from "node:test";
import type { BanOrder } from "../../shared/order.ts";
import { OrderSet } from "../../shared/order-set.ts";

const ban = (id: number, last = id): BanOrder => ({
  kind: "ban",
  id,
  net: `192.0.2.${last}/32`,
  untilMs: 1_000_000 + id,
  ports: null,
  level: 0,
});

test("an order that is in already changes nothing", () => {
  const set = new OrderSet();
  assert.equal(set.apply(ban(1), 1), true);
  const { hash } = set;
  assert.equal(set.apply(ban(1), 1), false);
  assert.deepEqual([set.revision, set.size, set.hash], [1, 1, hash]);
});

test("an order whose forerunner is missing is not taken", () => {
  const set = new OrderSet();
  assert.equal(set.apply(ban(2), 2), false);
  assert.deepEqual([set.revision, set.size], [0, 0]);
});

test("the hash depends on what stands, not on the way there", () => {
  const one = new OrderSet();
  one.apply(ban(1), 1);
  one.apply(ban(2), 2);
  one.apply({ kind: "unban", id: 1, net: "192.0.2.1/32", reason: "expired" }, 3);
  const other = new OrderSet();
  other.replace([ban(2)], 3);
  assert.equal(one.hash, other.hash);
  assert.match(one.hash, /^[0-9a-f]{16}$/);
});

test("an empty set has the same hash again after everything was lifted", () => {
  const set = new OrderSet();
  const empty = set.hash;
  set.apply(ban(1), 1);
  assert.notEqual(set.hash, empty);
  set.apply({ kind: "unban", id: 1, net: "192.0.2.1/32", reason: "admin" }, 2);
  assert.equal(set.hash, empty);
});

test("every field of a ban is in the hash", () => {
  const hashes = [
    ban(1),
    { ...ban(1), net: "192.0.2.2/32" },
    { ...ban(1), untilMs: null },
    { ...ban(1), ports: [22] },
    { ...ban(1), level: 1 },
    { ...ban(1), id: 2 },
  ].map((order) => {
    const set = new OrderSet();
    set.replace([order], 1);
    return set.hash;
  });
  assert.equal(new Set(hashes).size, hashes.length);
});

test("a ban and an allow may have the same id", () => {
  const set = new OrderSet();
  set.apply(ban(1), 1);
  set.apply({ kind: "allow", id: 1, net: "198.51.100.1/32", untilMs: null }, 2);
  set.apply({ kind: "disallow", id: 1, net: "198.51.100.1/32" }, 3);
  assert.deepEqual([...set.entries()], [ban(1)]);
});

test("a ban said again with another end replaces the first", () => {
  const set = new OrderSet();
  set.apply(ban(1), 1);
  set.apply({ ...ban(1), untilMs: null }, 2);
  assert.deepEqual([...set.entries()], [{ ...ban(1), untilMs: null }]);
  const fresh = new OrderSet();
  fresh.replace([{ ...ban(1), untilMs: null }], 2);
  assert.equal(set.hash, fresh.hash);
});
