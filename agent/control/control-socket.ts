import { chmodSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";

/**
 * The running agent's ear for the commands typed on its own host: one JSON line in, one JSON line out, over a unix
 * socket that only its owner may open. Nothing of it is reachable from the network.
 */
export type ControlRequest =
  | Readonly<{ verb: "status" }>
  /** `what` an address or network; null = everything this host or the fleet banned here. */
  | Readonly<{ verb: "unban"; what: string | null }>
  | Readonly<{ verb: "ban"; jail: string; what: string }>
  | Readonly<{ verb: "attempt"; jail: string; what: string }>;

/** Longer requests are nobody's typing. */
const requestBytesMax = 4096;
/** An agent that does not answer within this is not healthy, and the person waiting should hear so. */
const answerTimeoutMs = 10_000;
/** Commands at once; more wait in the socket's own queue. */
const connectionsMax = 16;

/** @param answer  called once per request; what it throws becomes the sentence the caller reads */
export async function listenControl(
  path: string,
  answer: (request: ControlRequest) => Promise<unknown>,
): Promise<AsyncDisposable> {
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(answerTimeoutMs, () => socket.destroy());
    let text = "";
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.length > requestBytesMax) socket.destroy();
      else if (text.includes("\n")) {
        socket.removeAllListeners("data");
        void reply(socket, text.slice(0, text.indexOf("\n")), answer);
      }
    });
  });
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve)).catch((cause) => {
    throw new Fleet2banError(
      "unavailable",
      `${path}: cannot listen there: ${messageOf(cause)}; is stateDir writable?`,
      { cause },
    );
  });
  chmodSync(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function reply(
  socket: Socket,
  line: string,
  answer: (request: ControlRequest) => Promise<unknown>,
): Promise<void> {
  let result: object;
  try {
    result = { answer: await answer(JSON.parse(line)) };
  } catch (error) {
    result = { problem: messageOf(error) };
  }
  socket.end(`${JSON.stringify(result)}\n`);
}

/**
 * Asks the agent that runs on this host.
 *
 * @throws Fleet2banError `unavailable` when none runs with this state directory, `conflict` with the agent's own refusal
 */
export async function askControl(path: string, request: ControlRequest): Promise<unknown> {
  const text = await new Promise<string>((resolve, reject) => {
    let received = "";
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error("no answer within 10 seconds")));
    socket.setEncoding("utf8").on("data", (part: string) => {
      received += part;
    });
    socket.on("end", () => resolve(received)).on("error", reject);
  }).catch((cause) => {
    throw new Fleet2banError(
      "unavailable",
      `no agent answers at ${path} (${messageOf(cause)}): is it running, with this configuration, and are you root?`,
      { cause },
    );
  });
  const result: unknown = JSON.parse(text);
  if (typeof result !== "object" || result === null)
    throw new Fleet2banError("internal", `${path}: not an agent's answer`);
  if ("problem" in result) throw new Fleet2banError("conflict", String(result.problem));
  return "answer" in result ? result.answer : undefined;
}
