import assert from "node:assert/strict";
import { test } from "node:test";
import { FailureCounter } from "../../../agent/jails/count-failures.ts";

const address = "192.0.2.1";
const counterOf = (maxRetry = 5, maxMatches = 3) => new FailureCounter({ maxRetry, maxMatches, findTimeMs: 600_000 });
const countAll = (seconds: readonly number[], counter = counterOf(100)) =>
  seconds.map((at) => counter.add(address, at * 1000, [`line ${at}`]).retries);

test("counts one up while everything is within findtime", () => {
  assert.deepEqual(countAll([0, 300, 600]), [1, 2, 3]);
});

test("scales the count down to findtime's share once the first failure is older", () => {
  assert.deepEqual(countAll([0, 300, 500, 700, 1300, 1301]), [1, 2, 3, 4, 3, 4]);
  assert.deepEqual(countAll([0, 601]), [1, 2]);
  assert.deepEqual(countAll([0, 1201]), [1, 1]);
});

test("rounds halves to the even neighbour, as Python does", () => {
  // 5 / 1200 * 600 = 2.5, and one more
  assert.deepEqual(countAll([0, 0, 0, 0, 0, 1200]), [1, 2, 3, 4, 5, 3]);
  // 3 / 1200 * 600 = 1.5
  assert.deepEqual(countAll([0, 0, 0, 1200]), [1, 2, 3, 3]);
});

test("a failure dated earlier counts and does not turn the time back", () => {
  const counter = counterOf(100);
  countAll([100, 50], counter);
  assert.equal(counter.get(address)?.lastMs, 100_000);
  assert.equal(counter.get(address)?.retries, 2);
});

test("hands the tally out at maxretry, once", () => {
  const counter = counterOf(2);
  counter.add(address, 0, []);
  assert.equal(counter.takeFull(address), undefined);
  counter.add(address, 1, []);
  assert.equal(counter.takeFull(address)?.retries, 2);
  assert.equal(counter.takeFull(address), undefined);
  assert.equal(counter.size, 0);
});

test("keeps the last maxmatches lines, or none", () => {
  const counter = counterOf(9, 2);
  countAll([1, 2, 3], counter);
  assert.deepEqual(counter.get(address)?.lines, ["line 2", "line 3"]);
  const forgetful = counterOf(9, 0);
  countAll([1, 2], forgetful);
  assert.deepEqual(forgetful.get(address)?.lines, []);
});

test("forgets an id whose last failure is exactly findtime old, not one a millisecond younger", () => {
  const counter = counterOf();
  counter.add(address, 1000, []);
  counter.dropStale(600_999);
  assert.equal(counter.size, 1);
  counter.dropStale(601_000);
  assert.equal(counter.size, 0);
});

test("who went stale between two failures begins anew, whenever memory is swept", () => {
  for (const sweptAt of [[599_000], []]) {
    const counter = counterOf(9);
    for (const atMs of [0, 0, 0, 0]) counter.add(address, atMs, ["a line"]);
    for (const nowMs of sweptAt) counter.dropStale(nowMs);
    counter.dropStale(600_000);
    assert.equal(counter.get(address), undefined);
    assert.deepEqual(counter.add(address, 600_000, ["another"]).lines, ["another"]);
    assert.equal(counter.get(address)?.retries, 1);
  }
});

test("an old failure that is read after the others went stale still counts", () => {
  const counter = counterOf(9);
  counter.dropStale(1_000_000);
  counter.add(address, 100_000, []);
  counter.add(address, 100_000, []);
  assert.equal(counter.get(address)?.retries, 2);
  counter.dropStale(1_005_000);
  assert.equal(counter.size, 0);
});

test("counts at most a hundred thousand ids, the oldest gives way", () => {
  const counter = counterOf();
  for (let id = 0; id <= 100_000; id += 1) counter.add(`id ${id}`, 0, []);
  assert.equal(counter.size, 100_000);
  assert.equal(counter.get("id 0"), undefined);
  assert.equal(counter.get("id 1")?.retries, 1);
});

test("keeps four million characters of lines at most, and goes on counting without them", () => {
  const counter = counterOf(1, 1);
  const line = "x".repeat(2000);
  for (let id = 0; id < 5000; id += 1) counter.add(`id ${id}`, 0, [line]);
  const kept = (id: number): number => counter.get(`id ${id}`)?.lines[0]?.length ?? 0;
  assert.equal(kept(0), 1024);
  assert.equal(kept(4999), 0);
  assert.equal(counter.get("id 4999")?.retries, 1);
  for (let id = 0; id < 10; id += 1) counter.takeFull(`id ${id}`);
  counter.add("after", 0, [line]);
  assert.equal(counter.get("after")?.lines[0]?.length, 1024);
});
