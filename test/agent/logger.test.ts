import assert from "node:assert/strict";
import { test } from "node:test";
import { openLogger } from "../../agent/logger.ts";

test("the lines of one turn are written together, in their order, before anything waits", async () => {
  const written: string[] = [];
  const log = openLogger("info", (lines) => written.push(lines));
  log.info({ id: "192.0.2.1" }, "banned");
  log.debug({ id: "192.0.2.2" }, "not wanted");
  log.warn({ id: "192.0.2.3" }, "refused");
  await Promise.resolve();
  log.info({ id: "192.0.2.4" }, "banned");
  await Promise.resolve();
  const lines = written.map((each) => each.trimEnd().split("\n"));
  assert.deepEqual(
    lines.map((each) => each.map((line) => (JSON.parse(line) as { id: string }).id)),
    [["192.0.2.1", "192.0.2.3"], ["192.0.2.4"]],
  );
});

test("an error is logged with its message", async () => {
  const written: string[] = [];
  openLogger("info", (lines) => written.push(lines)).error({ path: "/log", err: new TypeError("broken") }, "failed");
  await Promise.resolve();
  const { err, path, msg } = JSON.parse(written.join("")) as Record<string, Record<string, unknown>>;
  assert.equal(err?.type, "TypeError");
  assert.equal(err?.message, "broken");
  assert.deepEqual([path, msg], ["/log", "failed"]);
});
