import assert from "node:assert/strict";
import { test } from "node:test";
import { attackAnswer, enforcedAnswer, mistakesAnswer } from "../../../server/dashboard/parts/answers.ts";
import { minuteMs } from "../../../shared/durations.ts";

const nowMs = 100 * minuteMs;
const point = (minutesAgo: number, count: number, jail = "sshd") => ({
  atMs: nowMs - minutesAgo * minuteMs,
  jail,
  count,
});

test("a fleet enforces everywhere only when every host is connected, in step and stops packets", () => {
  const whole = { total: 3, connected: 3, lagging: 0, notEnforcing: 0 };
  assert.deepEqual([enforcedAnswer(whole).answer, enforcedAnswer(whole).mood], ["Yes, on all 3", "good"]);
  for (const [change, answer] of [
    [{ connected: 2 }, "On 2 of 3"],
    [{ notEnforcing: 1 }, "On 2 of 3"],
    [{ lagging: 1 }, "On 3 of 3"],
    [{ connected: 1, notEnforcing: 3 }, "On 0 of 3"],
  ] as const) {
    const found = enforcedAnswer({ ...whole, ...change });
    assert.deepEqual([found.answer, found.mood], [answer, "bad"], JSON.stringify(change));
  }
});

test("no host and no ban are no good news", () => {
  assert.equal(enforcedAnswer({ total: 0, connected: 0, lagging: 0, notEnforcing: 0 }).mood, "plain");
  assert.equal(mistakesAnswer({ bans: 0, lifted: 0, rate: 0 }).mood, "plain");
});

test("one ban in fifty lifted by people is still good, more is not", () => {
  assert.equal(mistakesAnswer({ bans: 100, lifted: 2, rate: 0.02 }).mood, "good");
  assert.equal(mistakesAnswer({ bans: 100, lifted: 3, rate: 0.03 }).mood, "bad");
});

test("an attack is what came in the last five minutes, and grows when it is three times the hour's pace", () => {
  assert.equal(attackAnswer([point(6, 1000)], 1000, 1, nowMs).answer, "Quiet");
  assert.equal(attackAnswer([point(5, 1)], 1, 1, nowMs).answer, "1 failure");
  const steady = attackAnswer([point(1, 50), point(30, 550)], 600, 1, nowMs);
  assert.deepEqual([steady.answer, steady.mood], ["50 failures", "plain"]);
  assert.equal(attackAnswer([point(1, 151), point(30, 449)], 600, 1, nowMs).mood, "warm");
  assert.equal(attackAnswer([point(1, 49)], 49, 1, nowMs).mood, "plain");
});
