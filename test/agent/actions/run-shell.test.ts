import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runShell } from "../../../agent/actions/run-shell.ts";
import { waitFor } from "../../support/wait-for.ts";

const never = new AbortController().signal;
const minuteMs = 60_000;
const run = (text: string, variables: Record<string, string> = {}) => runShell({ text, variables }, minuteMs, never);

test("runs shell text of several lines with the ban's facts as variables", async () => {
  const { ok, output } = await run('x=1\nprintf "%s %s" "$x" "$f2bV_matches"', { f2bV_matches: "$(id) `id` ; \n'" });
  assert.equal(output, "1 $(id) `id` ; \n'");
  assert.equal(ok, true);
});

test("says how a command ended and the start of what it printed", async () => {
  const { ok, ending, output } = await run("echo out; echo wrong >&2; exit 3");
  assert.deepEqual([ok, ending], [false, "exit 3"]);
  assert.match(output, /out/);
  assert.match(output, /wrong/);
  assert.ok((await run("yes | head -c 100000; exit 1")).output.length <= 2000);
});

test("a command that takes too long is ended", async () => {
  const { ok, ending } = await runShell({ text: "sleep 1000", variables: {} }, 50, never);
  assert.deepEqual([ok, ending], [false, "timed out after 0.05 s"]);
});

test("a command ends with the agent, and so does everything it started", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-shell-"));
  try {
    const file = join(folder, "pid");
    const abort = new AbortController();
    const text = `sleep 1000 & echo $! > ${file}.part; mv ${file}.part ${file}; wait`;
    const ended = runShell({ text, variables: {} }, minuteMs, abort.signal);
    await waitFor(() => existsSync(file), "the command to be at work");
    abort.abort();
    assert.equal((await ended).ending, "stopped with the agent");
    await waitFor(() => !isAlive(readFileSync(file, "utf8").trim()), "the child to end");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("does not wait for what a command left in the background", async () => {
  assert.equal((await run("sleep 5 & exit 0")).ok, true);
});

test("hands no credentials of the agent on", async () => {
  process.env.FLEET2BAN_TOKEN = "secret";
  assert.equal((await run('echo "[$FLEET2BAN_TOKEN]"')).output, "[]");
  delete process.env.FLEET2BAN_TOKEN;
});

function isAlive(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
