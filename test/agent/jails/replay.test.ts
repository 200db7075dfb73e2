import assert from "node:assert/strict";
import { test } from "node:test";
import { replayJail } from "../../../agent/jails/replay.ts";
import { failedAt, increment, rulesOf, sparesNobody } from "./jail-support.ts";

const replay = (
  changes: Parameters<typeof rulesOf>[0],
  seconds: readonly number[],
  ignoreList: unknown = sparesNobody,
) => [
  ...replayJail(
    rulesOf(changes),
    ignoreList as never,
    seconds.map((at) => failedAt(at)),
  ),
];

test("prints each ban at the time of the failure that made it", () => {
  assert.deepEqual(replay({ maxRetry: 2 }, [1, 5]), [{ at: 5, kind: "ban", id: "192.0.2.1", bantime: 600 }]);
  assert.deepEqual(replay({ maxRetry: 1, banTimeMs: null }, [1]), [
    { at: 1, kind: "ban", id: "192.0.2.1", bantime: -1 },
  ]);
});

test("the clock is the log's: a ban ends between two lines, and the next one is longer", () => {
  const bans = replay({ maxRetry: 1, increment: increment() }, [0, 600, 1200, 1801]);
  // In the second a ban ends it still holds, and is extended.
  const expected = [
    [0, 600],
    [1801, 1200],
  ];
  assert.deepEqual(
    bans.map(({ at, bantime }) => [at, bantime]),
    expected,
  );
});

test("counts grow stale between lines a findtime apart", () => {
  assert.deepEqual(replay({ maxRetry: 3, findTimeMs: 600_000 }, [0, 1, 700]), []);
  assert.equal(replay({ maxRetry: 3, findTimeMs: 600_000 }, [0, 1, 600]).length, 1);
});

test("a line dated earlier than the one before does not turn the clock back", () => {
  assert.deepEqual(
    replay({ maxRetry: 1 }, [100, 50]).map(({ at }) => at),
    [100],
  );
});

test("does not run an ignorecommand, and spares nobody for it", () => {
  const asks = { check: () => ({ kind: "ask", command: "x" }), remember: () => undefined };
  assert.equal(replay({ maxRetry: 1 }, [1], asks).length, 1);
});
