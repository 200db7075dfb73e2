import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { askControl, type ControlRequest, listenControl } from "../../../agent/control/control-socket.ts";
import { Fleet2banError } from "../../../shared/errors.ts";

async function withSocket(
  answer: (request: ControlRequest) => Promise<unknown>,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "control-"));
  const path = join(folder, "agent.sock");
  try {
    await using _listening = await listenControl(path, answer);
    await work(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a request gets its answer", () =>
  withSocket(
    async (request) => ({ heard: request.verb }),
    async (path) => assert.deepEqual(await askControl(path, { verb: "status" }), { heard: "status" }),
  ));

test("the agent's refusal is the sentence the caller reads", () =>
  withSocket(
    async () => {
      throw new Fleet2banError("not_found", "192.0.2.1 is not banned here");
    },
    async (path) => {
      await assert.rejects(
        askControl(path, { verb: "unban", what: "192.0.2.1" }),
        /^Fleet2banError: 192.0.2.1 is not banned here$/,
      );
    },
  ));

test("only the owner may open it", () =>
  withSocket(
    async () => null,
    async (path) => assert.equal(statSync(path).mode & 0o777, 0o600),
  ));

test("a request without end is cut off at its bound", () =>
  withSocket(
    async () => null,
    async (path) => {
      const socket = connect(path);
      socket.on("error", () => {});
      socket.write("x".repeat(10_000));
      await new Promise((resolve) => socket.once("close", resolve));
    },
  ));

test("no agent: the sentence names the socket and the remedy", async () => {
  await assert.rejects(askControl("/nowhere/agent.sock", { verb: "status" }), (error) => {
    assert(error instanceof Fleet2banError && error.code === "unavailable");
    assert.match(error.message, /\/nowhere\/agent\.sock .*is it running/);
    return true;
  });
});
