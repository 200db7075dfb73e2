import assert from "node:assert/strict";
import { test } from "node:test";
import { banTimeOf } from "../../../agent/jails/ban-time.ts";
import type { BanTimeIncrement } from "../../../agent/settings/jail-settings.ts";
import { increment } from "./jail-support.ts";

const hourMs = 3_600_000;
const hours = (changes: Partial<BanTimeIncrement> | null, counts: readonly number[], random = 0) => {
  const banTime = banTimeOf(hourMs, changes === null ? null : increment(changes));
  return counts.map((count) => (banTime(count, random) ?? Number.NaN) / hourMs);
};

test("without increment every ban is the same, and a permanent one stays so", () => {
  assert.deepEqual(hours(null, [0, 1, 9]), [1, 1, 1]);
  assert.equal(banTimeOf(null, increment())(3, 0), null);
});

test("doubles for each earlier ban, twenty times at most", () => {
  assert.deepEqual(hours({}, [0, 1, 2, 3]), [1, 2, 4, 8]);
  assert.deepEqual(hours({}, [20, 21]), [2 ** 20, 2 ** 20]);
});

test("the factor comes on top of the doubling, but never under the bantime", () => {
  assert.deepEqual(hours({ factor: 24 }, [0, 1]), [1, 48]);
  assert.deepEqual(hours({ factor: 0.1 }, [1]), [1]);
});

test("the first multiplier is a place holder, the last one stays", () => {
  assert.deepEqual(hours({ multipliers: [9, 24, 168, 720] }, [0, 1, 2, 3, 4]), [1, 24, 168, 720, 720]);
  assert.deepEqual(hours({ multipliers: [1, 2], factor: 3 }, [1]), [6]);
});

test("maxtime limits, and the random time may exceed it", () => {
  assert.deepEqual(hours({ maxTimeMs: 3 * hourMs }, [1, 2, 3]), [2, 3, 3]);
  assert.deepEqual(hours({ maxTimeMs: 3 * hourMs, randomMs: 2 * hourMs }, [0, 3], 0.5), [1, 4]);
});

test("a formula is computed in seconds, never under the bantime, and a failing one leaves it", () => {
  assert.deepEqual(hours({ formula: "ban.Time * ban.Count * banFactor", factor: 2 }, [1, 3]), [2, 6]);
  assert.deepEqual(hours({ formula: "60" }, [1]), [1]);
  assert.deepEqual(hours({ formula: "ban.Time / (ban.Count - 2)" }, [2, 3]), [1, 1]);
});
