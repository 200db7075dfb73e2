import type { NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { secondMs } from "../../shared/durations.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import type { Account } from "./account.ts";
import { type BusAddress, closeConnection, connectAs } from "./connect.ts";
import { systemUserJwt } from "./jwt.ts";
import type { BusKeys } from "./keys.ts";
import { systemInbox } from "./permissions.ts";
import { listenForPresence, type Presence, PresentOnes } from "./presence.ts";

/** One push costs the server a second of CPU with 10 000 agents, for one revocation as for a hundred. */
const pushMsPerConnection = 0.5;
const pushIntervalMs = { least: 200, most: 5 * secondMs } as const;
const pushTimeoutMs = 10 * secondMs;
const retryMs = 2 * secondMs;

/** The line to nats-server's own account: hands in the fleet's account and hears who comes and goes. */
export type System = AsyncDisposable &
  Readonly<{
    /** Makes the account's newest JWT valid: at once, or with others' a little later in a large fleet. */
    push(): Promise<void>;
    /** The same once more, for a server that may not have taken it in well. */
    pushAgain(): void;
    /** A user of the fleet's account connected or left. Whoever came unheard is told of by `tellPresent`. */
    onPresence(handler: (presence: Presence) => void): void;
    /** Nobody is told of any more; those who are connected when the line is back are told of then. */
    onCut(handler: () => void): void;
    /** Tells of everybody who is connected, as if they came now; tries again until the server has answered. */
    tellPresent(): void;
  }>;

/** @throws Fleet2banError `unavailable` when the first connect fails */
export async function openSystem(
  address: BusAddress,
  keys: BusKeys,
  account: Account,
  log: Logger,
  /** How many live connections a push makes the server look through. */
  connections: () => number = () => 0,
): Promise<System> {
  const connection = await connectAs(address, {
    name: "system",
    jwt: () => systemUserJwt(keys, Date.now()),
    seed: keys.systemUser.seed,
    inbox: systemInbox,
  });
  let waiting: Promise<void> | undefined;
  let lastPushMs = Number.NEGATIVE_INFINITY;
  let pushed = "";
  let timer: NodeJS.Timeout | undefined;
  const cutHandlers: (() => void)[] = [];
  const presenceHandlers: ((presence: Presence) => void)[] = [];
  const tell = (presence: Presence): void => {
    for (const handler of presenceHandlers) handler(presence);
  };
  const present = new PresentOnes(connection, account.publicKey, tell, log);
  listenForPresence(connection, account.publicKey, (presence) => {
    present.heard(presence);
    tell(presence);
  });

  const pushNow = async (): Promise<void> => {
    waiting = undefined;
    lastPushMs = performance.now();
    const { jwt } = account;
    if (jwt === pushed) return;
    await request(connection, jwt);
    pushed = jwt;
    log.info({ event: "account_pushed" }, "handed the account to nats-server");
  };
  const push = (): Promise<void> => {
    if (waiting !== undefined) return waiting;
    const { least, most } = pushIntervalMs;
    const intervalMs = Math.min(Math.max(connections() * pushMsPerConnection, least), most);
    const delayMs = Math.max(0, lastPushMs + intervalMs - performance.now());
    const due = Promise.withResolvers<void>();
    timer = setTimeout(due.resolve, delayMs);
    waiting = due.promise.then(pushNow);
    return waiting;
  };
  const pushAgain = (): void => {
    pushed = "";
    push().catch((error: unknown) => {
      if (connection.isClosed()) return;
      log.warn({ problem: messageOf(error), event: "account_not_pushed" }, "could not hand the account to nats-server");
      timer = setTimeout(pushAgain, retryMs);
    });
  };
  const follow = async () => {
    // A server that comes back may have been started from an old copy.
    for await (const status of connection.status()) {
      if (status.type === "reconnect") {
        pushAgain();
        present.list();
      }
      if (status.type === "disconnect") for (const handler of cutHandlers) handler();
    }
  };
  void follow();
  pushAgain();

  return {
    push,
    pushAgain,
    onPresence: (handler) => void presenceHandlers.push(handler),
    onCut: (handler) => void cutHandlers.push(handler),
    tellPresent: () => present.list(),
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      await closeConnection(connection);
    },
  };
}

const ClaimsReply = z.object({
  error: z.object({ description: z.string().optional() }).optional(),
  data: z.object({ code: z.number() }).optional(),
});

async function request(connection: NatsConnection, jwt: string): Promise<void> {
  const reply = await connection.request("$SYS.REQ.CLAIMS.UPDATE", jwt, { timeout: pushTimeoutMs });
  const read = ClaimsReply.safeParse(reply.json());
  if (read.success && read.data.error === undefined) return;
  throw new Fleet2banError("unavailable", `nats-server refused the account: ${reply.string().slice(0, 200)}`);
}
