import assert from "node:assert/strict";
import { test } from "node:test";
import { type Engine, Footprint } from "../../agent/footprint.ts";

const quietMicros = 2000;

/** An engine that notes what it is told; each collection takes `collectMicros` of CPU. */
function open(collectMicros = 20_000) {
  const told: string[] = [];
  let usedMicros = 0;
  const engine: Engine = {
    usedMicros: () => usedMicros,
    collect: () => {
      told.push("collect");
      usedMicros += collectMicros;
    },
    optimize: (on) => void told.push(on ? "optimize" : "rest"),
  };
  const footprint = new Footprint(engine);
  const second = (workMicros: number, times = 1) => {
    for (let index = 0; index < times; index += 1) {
      usedMicros += workMicros;
      footprint.tick();
    }
    return told.splice(0);
  };
  const reads = (bytes: number) => {
    footprint.reads(bytes);
    return told.splice(0);
  };
  return { second, reads };
}

test("what a start left is given back from the third quiet second on, six times, then once a minute", () => {
  const { second } = open();
  assert.deepEqual(second(150_000), []);
  assert.deepEqual(second(quietMicros, 2), []);
  assert.deepEqual(second(quietMicros), ["collect"]);
  assert.deepEqual(second(quietMicros, 5), ["collect", "collect", "collect", "collect", "collect"]);
  assert.deepEqual(second(quietMicros, 51), []);
  assert.deepEqual(second(quietMicros), ["collect"]);
});

test("work interrupts it, and what the work left is given back again", () => {
  const { second } = open();
  second(quietMicros, 4);
  assert.deepEqual(second(60_000), []);
  assert.deepEqual(second(quietMicros, 2), []);
  assert.equal(second(quietMicros, 50).length, 6);
});

test("the collections themselves do not count as work", () => {
  const { second } = open(90_000);
  assert.equal(second(quietMicros, 50).length, 6);
});

test("V8 optimizes from the first second of hard work until the agent rests", () => {
  const { second } = open();
  assert.deepEqual(second(199_999), []);
  assert.deepEqual(second(200_000), ["optimize"]);
  assert.deepEqual(second(900_000, 5), []);
  assert.deepEqual(second(quietMicros, 3), ["rest", "collect"]);
  assert.deepEqual(second(300_000), ["optimize"]);
});

test("V8 optimizes at once when half a megabyte of logs came within a second, not when it trickles in", () => {
  const { second, reads } = open();
  assert.deepEqual(reads(500_000), []);
  second(quietMicros);
  assert.deepEqual(reads(500_000), []);
  assert.deepEqual(reads(30_000), ["optimize"]);
  assert.deepEqual(second(900_000), []);
  assert.deepEqual(second(quietMicros, 3), ["rest", "collect"]);
});

test("a heap so large that collecting it stops the agent for long is left as it is", () => {
  const { second } = open(900_000);
  assert.deepEqual(second(quietMicros, 50), ["collect"]);
  second(300_000);
  assert.deepEqual(second(quietMicros, 50), ["rest"]);
});
