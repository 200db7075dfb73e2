import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { TurnQueue } from "../../../server/ingest/turn-queue.ts";
import { Cursors } from "../../../server/store/cursors.ts";

test("of many turns that overlap, one waits now and then, so that others get the rows they lock", async () => {
  const queue = new TurnQueue();
  const nothing = new Cursors([]);
  let open = 0;
  const openAtStart: number[] = [];
  const turn = () =>
    queue.overlapping(
      () => true,
      async (next) => {
        openAtStart.push(open);
        open += 1;
        const attempt = queue.begin(next);
        await attempt.before();
        attempt.letOn(nothing);
        await setImmediate();
        open -= 1;
        attempt.committed();
      },
    );
  await Promise.all(Array.from({ length: 100 }, turn));
  assert.deepEqual(
    openAtStart.flatMap((each, index) => (each === 0 ? [index] : [])),
    [0, 32, 64, 96],
  );
  assert.equal(Math.max(...openAtStart), 1);
});

for (const how of ["copied", "failed"] as const) {
  test(`a turn may copy once the one before has ${how}, whether that one is committed or not`, async () => {
    const queue = new TurnQueue();
    const before = queue.begin(() => undefined);
    await before.copiedBefore;
    before.letOn(new Cursors([]));
    const after = queue.begin(() => undefined);
    let may = false;
    const waiting = after.copiedBefore.then(() => {
      may = true;
    });
    await setImmediate();
    assert.equal(may, false);
    before[how]();
    await waiting;
  });
}
