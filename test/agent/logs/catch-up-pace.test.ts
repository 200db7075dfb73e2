import assert from "node:assert/strict";
import { test } from "node:test";
import { CatchUpPace } from "../../../agent/logs/catch-up-pace.ts";

test("catching up rests as long as it has worked, slice by slice, and not after a pause", async () => {
  let nowMs = 1000;
  const rests: number[] = [];
  const pace = new CatchUpPace(
    () => nowMs,
    async (ms) => {
      rests.push(ms);
      nowMs += ms;
    },
  );
  for (let piece = 0; piece < 9; piece += 1) {
    nowMs += 8;
    await pace.rest();
  }
  assert.deepEqual(rests, [24, 24]);
  nowMs += 60_000;
  await pace.rest();
  assert.equal(rests.length, 2);
});
