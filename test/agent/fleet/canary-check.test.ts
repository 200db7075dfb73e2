import assert from "node:assert/strict";
import { test } from "node:test";
import { CanaryCheck } from "../../../agent/fleet/canary-check.ts";

test("an order that has just come is looked for one round later, then every half minute, and one that is lost every round; what changes is told", async () => {
  const asked: string[] = [];
  const told: string[] = [];
  let stopped = true;
  const check = new CanaryCheck({
    async holds(net) {
      asked.push(net);
      return stopped;
    },
    lost: () => void told.push("lost"),
    changed: () => void told.push("changed"),
  });
  await check.tick("198.51.100.0/32", 0);
  assert.deepEqual([asked, check.result], [[], undefined]);
  await check.tick("198.51.100.0/32", 10_000);
  assert.equal(check.result, true);
  stopped = false;
  await check.tick("198.51.100.0/32", 20_000);
  assert.equal(check.result, true);
  await check.tick("198.51.100.0/32", 40_000);
  assert.equal(check.result, false);
  assert.equal(asked.length, 2);
  assert.deepEqual(told, ["changed", "lost", "changed"]);
  // Whoever does not get it back does not write all of his bans anew in every round.
  await check.tick("198.51.100.0/32", 50_000);
  assert.equal(asked.length, 3);
  assert.deepEqual(told, ["changed", "lost", "changed"]);
  stopped = true;
  await check.tick("198.51.100.0/32", 60_000);
  assert.deepEqual([check.result, told.at(-1), told.length], [true, "changed", 4]);
});

test("without a canary, or where the firewall cannot be asked, nothing is claimed", async () => {
  const check = new CanaryCheck({
    holds: async () => undefined,
    lost: () => assert.fail("lost"),
    changed: () => assert.fail("changed"),
  });
  for (const nowMs of [0, 1]) await check.tick(undefined, nowMs);
  assert.equal(check.result, undefined);
  for (const nowMs of [2, 3]) await check.tick("198.51.100.0/32", nowMs);
  assert.equal(check.result, undefined);
});
