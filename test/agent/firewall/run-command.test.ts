import assert from "node:assert/strict";
import { test } from "node:test";
import { commandRunner, findProgram, firstLine } from "../../../agent/firewall/run-command.ts";

test("a command gets its input, and its output, errors and code come back", async () => {
  const run = commandRunner(["env", "GREETING=hello"]);
  const result = await run(["sh", "-c", 'cat; echo "$GREETING $LC_ALL" >&2; exit 3'], "input\n");
  assert.deepEqual(result, { code: 3, stdout: "input\n", stderr: "hello C\n" });
});

test("nothing in a command is read by a shell", async () => {
  const result = await commandRunner()(["echo", "$HOME; exit 1 `id`"]);
  assert.deepEqual(result, { code: 0, stdout: "$HOME; exit 1 `id`\n", stderr: "" });
});

test("a program that is missing, or does not read its input, is a result and no exception", async () => {
  assert.equal((await commandRunner()(["/nonexistent/nft"])).code, 127);
  assert.equal((await commandRunner()(["true"], "x".repeat(10_000_000))).code, 0);
});

test("tools are found without the sbin folders in PATH, and what is not there is undefined", async () => {
  assert.match(findProgram("sh", "/usr/bin:/bin") ?? "", /\/sh$/);
  assert.equal(findProgram("no-such-firewall", "/usr/bin"), undefined);
});

test("what a tool said is cut to one line", () => {
  assert.equal(firstLine({ code: 1, stdout: "", stderr: "Error: a\nb\n" }), "Error: a");
  assert.equal(firstLine({ code: 1, stdout: "", stderr: "" }), "ended with code 1");
});
