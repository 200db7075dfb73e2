import assert from "node:assert/strict";
import { test } from "node:test";
import { calm, type DeadManEvent, type DeadManState, stepDeadMan } from "../../../agent/firewall/dead-man.ts";

const second = 1000;

/** Plays events at their seconds and returns what was said and done. */
function play(events: readonly (readonly [number, DeadManEvent])[]): readonly string[] {
  let state: DeadManState = calm;
  return events.flatMap(([at, event]) => {
    const step = stepDeadMan(state, event, at * second);
    state = step.state;
    const done = [...step.hold.map((key) => `hold ${key}`), ...step.release.map((key) => `release ${key}`)];
    return step.verdict === null ? done : [`${at}: ${step.verdict}`, ...done];
  });
}
const reached = (at: number): readonly [number, DeadManEvent] => [at, { kind: "reached", sentMs: at * second }];
const changed = (at: number, ...keys: string[]): readonly [number, DeadManEvent] => [at, { kind: "changed", keys }];
const tick = (at: number): readonly [number, DeadManEvent] => [at, { kind: "tick" }];

test("what came before an answer is proven harmless", () => {
  assert.deepEqual(play([reached(0), changed(1, "a"), reached(2), tick(42), tick(200)]), []);
});

test("without an answer for 40 s all changes since the last one are taken back", () => {
  const events = [reached(0), changed(1, "a"), changed(20, "b"), tick(40), tick(41)];
  assert.deepEqual(play(events), ["41: rolled back", "hold a", "hold b"]);
});

test("an answer to a question asked before the change proves nothing", () => {
  const late: readonly [number, DeadManEvent] = [5, { kind: "reached", sentMs: 0.5 * second }];
  assert.deepEqual(play([reached(0), changed(1, "a"), late, tick(41)]), ["41: rolled back", "hold a"]);
});

test("when the connection comes back, the bans were why and stay out", () => {
  const events = [reached(0), changed(1, "a"), tick(41), reached(50), tick(200)];
  assert.deepEqual(play(events), ["41: rolled back", "hold a", "50: guilty"]);
});

test("an answer that was on its way before the rollback does not make the bans guilty", () => {
  const late: readonly [number, DeadManEvent] = [42, { kind: "reached", sentMs: 40 * second }];
  const events = [reached(0), changed(1, "a"), tick(41), late, tick(101)];
  assert.deepEqual(play(events), ["41: rolled back", "hold a", "101: innocent", "release a"]);
});

test("when it does not, they were not, and come into force again", () => {
  const events = [reached(0), changed(1, "a"), tick(41), tick(100), tick(101), changed(102, "b"), tick(300)];
  assert.deepEqual(play(events), ["41: rolled back", "hold a", "101: innocent", "release a"]);
});

test("a host that was not within reach before a change cannot have been cut off by it", () => {
  assert.deepEqual(play([changed(1, "a"), tick(100)]), []);
  assert.deepEqual(play([reached(0), changed(76, "a"), tick(200)]), []);
});

test("a steady stream of changes does not look like a cut as long as answers come", () => {
  const events = Array.from({ length: 600 }, (_, index) => {
    const at = index / 2;
    const answer: readonly [number, DeadManEvent] = [at, { kind: "reached", sentMs: (at - 0.3) * second }];
    return [changed(at, `${index}`), ...(index % 20 === 0 ? [answer] : []), tick(at)];
  });
  assert.deepEqual(play(events.flat()), []);
});
