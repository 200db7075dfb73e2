import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { moves } from "../../../server/store/shares.ts";

type Owned = Readonly<{ partition: number; owner: number | null }>;
const owned = (...owners: (number | null)[]): Owned[] => owners.map((owner, partition) => ({ partition, owner }));
const after = (before: readonly Owned[], members: readonly number[]): (number | null)[] => {
  const moved = moves(before, members);
  return before.map(({ partition, owner }) => moved.get(partition) ?? owner);
};

test("whoever is alone gets everything, and a second one half of it", () => {
  assert.deepEqual(after(owned(null, 9, null, 9), [1]), [1, 1, 1, 1]);
  assert.deepEqual(after(owned(1, 1, 1, 1), [1, 2]), [1, 1, 2, 2]);
});

test("when one goes only its own part moves, and nothing moves when nobody came or went", () => {
  assert.deepEqual(after(owned(1, 1, 1, 2, 2, 2, 3, 3), [1, 2]), [1, 1, 1, 2, 2, 2, 1, 2]);
  assert.equal(moves(owned(1, 1, 1, 2, 2, 2, 3, 3), [1, 2, 3]).size, 0);
});

test("parts are equal, everyone living owns its own, and the leader keeps the first", () => {
  const owners = fc.array(fc.option(fc.integer({ min: 1, max: 12 })), { minLength: 8, maxLength: 8 });
  const members = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(owners, members, (before, living) => {
      const [leader = 0] = living;
      const given = after(owned(leader, ...before.slice(1)), living);
      assert.equal(given[0], leader);
      const sizes = living.map((member) => given.filter((owner) => owner === member).length);
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        8,
      );
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      assert.equal(
        moves(
          given.map((owner, partition) => ({ partition, owner })),
          living,
        ).size,
        0,
      );
    }),
  );
});
