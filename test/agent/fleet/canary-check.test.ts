import assert from "node:assert/strict";
import { test } from "node:test";
import { CanaryCheck } from "../../../agent/fleet/canary-check.ts";
import { minuteMs } from "../../../shared/durations.ts";

test("an order that has just come is looked for one round later, then every five minutes", async () => {
  const asked: string[] = [];
  let stopped = true;
  const check = new CanaryCheck(async (net) => {
    asked.push(net);
    return stopped;
  });
  await check.tick("198.51.100.0/32", 0);
  assert.deepEqual([asked, check.result], [[], undefined]);
  await check.tick("198.51.100.0/32", 10_000);
  assert.equal(check.result, true);
  stopped = false;
  await check.tick("198.51.100.0/32", 20_000);
  assert.equal(check.result, true);
  await check.tick("198.51.100.0/32", 10_000 + 5 * minuteMs);
  assert.equal(check.result, false);
  assert.equal(asked.length, 2);
});

test("without a canary, or where the firewall cannot be asked, nothing is claimed", async () => {
  const check = new CanaryCheck(async () => undefined);
  for (const nowMs of [0, 1]) await check.tick(undefined, nowMs);
  assert.equal(check.result, undefined);
  for (const nowMs of [2, 3]) await check.tick("198.51.100.0/32", nowMs);
  assert.equal(check.result, undefined);
});
