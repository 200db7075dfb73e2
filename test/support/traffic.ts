import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { TestHost } from "./namespaces.ts";

/** What became of a connection: `answered` = an echo came back; `refused` = an error; `silent` = nothing in time. */
export type Outcome = "answered" | "refused" | "silent";

/** Longer than any answer on the one machine takes, short enough for hundreds of checks. */
const answerMs = 400;

/** Makes and keeps TCP connections from inside a namespace, or answers them: real packets, not guesses. */
export type TrafficPeer = Readonly<{
  /** Answers what it hears on these ports, both families. */
  serve(ports: readonly number[]): Promise<void>;
  /** A new connection and one echo over it. */
  knock(from: string, to: string, port: number): Promise<Outcome>;
  /** The same, and the connection stays. */
  connect(from: string, to: string, port: number): Promise<Readonly<{ echo(): Promise<Outcome> }>>;
  [Symbol.asyncDispose](): Promise<void>;
}>;

export function openPeer(host: TestHost): TrafficPeer {
  const program = fileURLToPath(new URL("traffic-peer.mjs", import.meta.url));
  const child = host.spawn([process.execPath, program, String(answerMs)], { stdio: ["pipe", "pipe", "inherit"] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("a peer without pipes");
  const waiting = new Map<number, { resolve: (outcome: Outcome) => void; reject: (error: Error) => void }>();
  createInterface({ input: stdout }).on("line", (line) => {
    const [id, outcome] = JSON.parse(line) as [number, Outcome];
    waiting.get(id)?.resolve(outcome);
    waiting.delete(id);
  });
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => {
      for (const { reject } of waiting.values()) reject(new Error("the peer ended"));
      resolve();
    });
  });
  let last = 0;
  const ask = (request: object) =>
    new Promise<Outcome>((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      stdin.write(`${JSON.stringify({ ...request, id: last })}\n`);
    });
  return {
    serve: async (ports) => {
      await ask({ verb: "serve", ports });
    },
    knock: (from, to, port) => ask({ verb: "knock", from, to, port }),
    connect: async (from, to, port) => {
      const connection = last + 1;
      const outcome = await ask({ verb: "connect", from, to, port });
      if (outcome !== "answered") throw new Error(`${from} could not connect to ${to}:${port}: ${outcome}`);
      return { echo: () => ask({ verb: "echo", connection }) };
    },
    [Symbol.asyncDispose]: async () => {
      stdin.end();
      await ended;
    },
  };
}
