import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteBudget } from "../../../server/orders/byte-budget.ts";

const mebibyte = 1024 * 1024;

test("a host that asks in a loop gets sixteen snapshots of a mebibyte, then one in sixteen seconds", () => {
  const budget = new ByteBudget();
  const granted = (nowMs: number, times: number) =>
    Array.from({ length: times }, () => budget.take("loop", mebibyte, nowMs)).filter(Boolean).length;
  assert.equal(granted(0, 1_000), 16);
  assert.equal(granted(15_999, 10), 0);
  assert.equal(granted(16_000, 10), 1);
  assert.equal(granted(16_000 + 32_000, 10), 2);
});

test("one host's loop costs another nothing", () => {
  const budget = new ByteBudget();
  while (budget.take("loop", mebibyte, 0));
  assert.equal(budget.take("calm", mebibyte, 0), true);
});

test("a clock that goes back gives nothing away and takes nothing", () => {
  const budget = new ByteBudget();
  while (budget.take("host", mebibyte, 1_000_000));
  assert.equal(budget.take("host", mebibyte, 0), false);
});

test("a host that has everything back is forgotten, and not before", () => {
  const budget = new ByteBudget();
  while (budget.take("host", mebibyte, 0));
  budget.prune(100_000);
  assert.equal(budget.take("host", 10 * mebibyte, 100_000), false);
  budget.prune(10_000_000);
  assert.equal(budget.take("host", 16 * mebibyte, 10_000_000), true);
});
