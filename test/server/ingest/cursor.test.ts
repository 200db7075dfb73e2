import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { advance, aheadMax, cursorAtStart } from "../../../server/ingest/cursor.ts";
import type { Cursor } from "../../../server/store/cursors.ts";

/** Feeds sequences one after the other and keeps which counted. */
function feed(sequences: readonly number[]): { cursor: Cursor; counted: number[] } {
  let cursor = cursorAtStart;
  const counted: number[] = [];
  for (const sequence of sequences) {
    const step = advance(cursor, sequence);
    if (step.kind === "duplicate") continue;
    cursor = step.cursor;
    counted.push(sequence);
  }
  return { cursor, counted };
}

test("the next batch is new and leaves no gap", () => {
  assert.deepEqual(advance({ sequence: 4, ahead: [] }, 5), {
    kind: "new",
    cursor: { sequence: 5, ahead: [] },
    gap: false,
  });
});

test("a batch that is in already is a duplicate", () => {
  assert.deepEqual(advance({ sequence: 4, ahead: [6] }, 4), { kind: "duplicate" });
  assert.deepEqual(advance({ sequence: 4, ahead: [6] }, 6), { kind: "duplicate" });
});

test("a batch that comes too early counts, says so, and the late one still counts", () => {
  const early = advance({ sequence: 1, ahead: [] }, 3);
  assert.deepEqual(early, { kind: "new", cursor: { sequence: 1, ahead: [3] }, gap: true });
  assert.deepEqual(advance({ sequence: 1, ahead: [3] }, 2), {
    kind: "new",
    cursor: { sequence: 3, ahead: [] },
    gap: false,
  });
});

test("any order and any repetition counts every batch once", () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray([...Array(aheadMax).keys()].map((n) => n + 1)),
      fc.infiniteStream(fc.nat()),
      (some, picks) => {
        const repeated = some.flatMap((each) => [each, some[(picks.next().value ?? 0) % some.length] ?? each]);
        const { counted } = feed(repeated);
        assert.deepEqual(
          counted.toSorted((a, b) => a - b),
          [...new Set(repeated)].toSorted((a, b) => a - b),
        );
      },
    ),
  );
});

test("an agent that never closes its gaps does not make its cursor grow", () => {
  const odd = Array.from({ length: 10 * aheadMax }, (_, index) => 2 * index + 3);
  const { cursor, counted } = feed(odd);
  assert.equal(counted.length, odd.length);
  assert.ok(cursor.ahead.length <= aheadMax);
});
