import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Entries } from "../../../server/domain/entries.ts";
import { EntryStore, type Place } from "../../../server/domain/entry-store.ts";

/** Up to beyond what a record holds, in numbers and in size. */
const entry = fc.tuple(
  fc.integer({ min: 0, max: 2 ** 42 }),
  fc.oneof(fc.nat(1_000_000), fc.constant(2 ** 21)),
  fc.oneof(fc.nat(20_001), fc.constant(2 ** 15)),
  fc.oneof(fc.integer({ min: 1, max: 2 ** 17 }), fc.constant(1_000_000)),
);
const entries = fc
  .tuple(
    fc.oneof(fc.constant(Number.NEGATIVE_INFINITY), fc.nat(2 ** 42)),
    fc.array(entry, { maxLength: 5 }).map((all) => all.toSorted((one, other) => one[0] - other[0]).flat()),
  )
  .map(([settledMs, rest]): Entries => [settledMs, ...rest]);
const subject = fc.nat(5);

test("what is kept of each subject is what was put last, however often it grows, shrinks and goes", () => {
  const acts = fc.array(fc.tuple(subject, fc.option(entries)), { maxLength: 60 });
  fc.assert(
    fc.property(acts, (all) => {
      const store = new EntryStore();
      const places = new Map<number, Place>();
      const expected = new Map<number, Entries>();
      for (const [name, given] of all) {
        const before = places.get(name);
        if (given === null) {
          if (before !== undefined) store.remove(before);
          places.delete(name);
          expected.delete(name);
          continue;
        }
        places.set(name, store.put([...given], before));
        expected.set(name, given);
        for (const [each, place] of places) {
          assert.deepEqual(store.get(place), expected.get(each));
          const [settledMs = 0, ...rest] = expected.get(each) ?? [];
          assert.equal(store.lastMs(place), Math.max(settledMs, rest.at(-4) ?? 0));
        }
      }
    }),
  );
});

test("records that are free, because their subject went or grew, are taken again before new ones are made", () => {
  const store = new EntryStore();
  const first = store.put([0, 1, 2, 3, 4]);
  store.remove(first);
  assert.equal(store.put([0, 5, 6, 7, 8]), first);
  const grown = store.put([0, 5, 6, 7, 8, 9, 6, 7, 8], first);
  assert.notEqual(grown, first);
  assert.equal(store.put([0, 1, 2, 3, 4]), first);
});
