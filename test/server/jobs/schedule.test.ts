import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { startJobs } from "../../../server/jobs/schedule.ts";
import { minuteMs } from "../../../shared/durations.ts";
import { attacker, batchOf, failuresOf, openArena, startMs, toldOf } from "../ingest/arena.ts";

test("a ban whose time has come ends without anybody asking", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  arena.nowMs = startMs + 61 * minuteMs;
  const log = pino({ level: "silent" });
  await using _jobs = startJobs({ writer: arena.writer, store: arena.store, now: () => arena.nowMs, log });
  const deadline = performance.now() + 30_000;
  while (toldOf(arena, "fleet").length < 2 && performance.now() < deadline) await sleep(20);
  assert.deepEqual(
    toldOf(arena, "fleet").map((each) => each.order.kind),
    ["ban", "unban"],
  );
});
