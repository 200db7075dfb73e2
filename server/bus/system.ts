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

/** One push costs the server a second of CPU with 10 000 agents, for one revocation as for a hundred. */
const pushIntervalMs = 5 * secondMs;
const pushTimeoutMs = 10 * secondMs;
const retryMs = 2 * secondMs;

/** The line to nats-server's own account: hands in the fleet's account and hears who comes and goes. */
export type System = AsyncDisposable &
  Readonly<{
    /** Makes the account's newest JWT valid: at once, or with others' at most `pushIntervalMs` later. */
    push(): Promise<void>;
    /** A user of the fleet's account connected or left. */
    onPresence(handler: (publicKey: string, connected: boolean) => void): void;
  }>;

const PresenceEvent = z.object({ client: z.object({ user: z.string() }) });

/** @throws Fleet2banError `unavailable` when the first connect fails */
export async function openSystem(address: BusAddress, keys: BusKeys, account: Account, log: Logger): Promise<System> {
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
    const delayMs = Math.max(0, lastPushMs + pushIntervalMs - performance.now());
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
    for await (const status of connection.status()) if (status.type === "reconnect") pushAgain();
  };
  void follow();
  pushAgain();

  return {
    push,
    onPresence(handler) {
      for (const event of ["CONNECT", "DISCONNECT"]) {
        connection.subscribe(`$SYS.ACCOUNT.${account.publicKey}.${event}`, {
          callback: (error, message) => {
            const publicKey = error === null ? userOf(message.data) : undefined;
            if (publicKey !== undefined) handler(publicKey, event === "CONNECT");
          },
        });
      }
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      await closeConnection(connection);
    },
  };
}

/** The public key of the user an event is about. */
function userOf(payload: Uint8Array): string | undefined {
  try {
    return PresenceEvent.parse(JSON.parse(new TextDecoder().decode(payload))).client.user;
  } catch {
    return undefined;
  }
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
