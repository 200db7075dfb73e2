import type { NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { secondMs } from "../../shared/durations.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";

/** One connection of a user of the fleet's account came or went, as nats-server tells it. */
export type Presence = Readonly<{
  publicKey: string;
  /** Names the connection among those of all servers. */
  connection: string;
  connected: boolean;
  /** Why it ended; empty when it came. */
  reason: string;
  /** With which credentials it came; empty where the server does not say. */
  jwt: string;
}>;

/** Each is 1.5 kB of answer with its credentials, and an answer should stay below nats-server's usual 1 MB. */
const pageConnections = 500;
/** Servers of a cluster answer one by one; the next page is asked for when no more has come for this long. */
const stallMs = 300;
const answerMsMax = 5 * secondMs;
const retryMs = 2 * secondMs;

const PresenceEvent = z.object({
  server: z.object({ id: z.string() }),
  client: z.object({ user: z.string(), id: z.int().optional(), jwt: z.string().optional() }),
  reason: z.string().optional(),
});

const Page = z.object({
  server: z.object({ id: z.string() }),
  data: z.object({
    connections: z
      .array(z.object({ cid: z.int(), authorized_user: z.string().optional(), jwt: z.string().optional() }))
      .nullish(),
  }),
});

/** @param account  public key */
export function listenForPresence(
  connection: NatsConnection,
  account: string,
  tell: (presence: Presence) => void,
): void {
  for (const event of ["CONNECT", "DISCONNECT"]) {
    connection.subscribe(`$SYS.ACCOUNT.${account}.${event}`, {
      callback: (error, message) => {
        const presence = error === null ? presenceOf(message.data, event === "CONNECT") : undefined;
        if (presence !== undefined) tell(presence);
      },
    });
  }
}

/** undefined for an event that is not about a client. */
function presenceOf(payload: Uint8Array, connected: boolean): Presence | undefined {
  try {
    const { server, client, reason = "" } = PresenceEvent.parse(JSON.parse(new TextDecoder().decode(payload)));
    return {
      publicKey: client.user,
      connection: `${server.id} ${client.id}`,
      connected,
      reason,
      jwt: client.jwt ?? "",
    };
  } catch {
    return undefined;
  }
}

/**
 * Everybody of an account who is connected now, to any server of the cluster; for whoever was not there to hear them
 * come. Source: nats-server, "System Events", `$SYS.REQ.SERVER.PING.CONNZ`.
 *
 * @throws Fleet2banError `unavailable` when no server answers
 */
export async function* listConnections(
  connection: NatsConnection,
  account: string,
  perPage = pageConnections,
): AsyncGenerator<Presence> {
  for (let offset = 0; ; offset += perPage) {
    const request = JSON.stringify({ auth: true, acc: account, sort: "cid", limit: perPage, offset });
    const options = { strategy: "stall", stall: stallMs, maxWait: answerMsMax } as const;
    let [isLast, isAnswered] = [true, false];
    for await (const reply of await connection.requestMany("$SYS.REQ.SERVER.PING.CONNZ", request, options)) {
      isAnswered = true;
      const { server, data } = Page.parse(reply.json());
      const page = data.connections ?? [];
      if (page.length >= perPage) isLast = false;
      for (const { cid, authorized_user: publicKey = "", jwt = "" } of page) {
        yield { publicKey, connection: `${server.id} ${cid}`, connected: true, reason: "", jwt };
      }
    }
    // The client ends its waiting without a word.
    if (!isAnswered) throw new Fleet2banError("unavailable", "nats-server does not say who is connected");
    if (isLast) return;
  }
}

/** Lists who is connected while others come and go: whoever has left meanwhile is not told of as being there. */
export class PresentOnes {
  readonly #connection: NatsConnection;
  readonly #account: string;
  readonly #tell: (presence: Presence) => void;
  readonly #log: Logger;
  /** Connections that ended while the list was on its way; undefined while there is none on its way. */
  #gone: Set<string> | undefined;

  constructor(connection: NatsConnection, account: string, tell: (presence: Presence) => void, log: Logger) {
    this.#connection = connection;
    this.#account = account;
    this.#tell = tell;
    this.#log = log;
  }

  heard({ connected, connection }: Presence): void {
    if (!connected) this.#gone?.add(connection);
  }

  list(): void {
    const gone = new Set<string>();
    this.#gone = gone;
    this.#listUnless(gone)
      .then(() => {
        if (this.#gone === gone) this.#gone = undefined;
      })
      .catch((error: unknown) => {
        // A newer one is on its way, or there is nobody to ask any more.
        if (this.#gone !== gone || this.#connection.isClosed()) return;
        const fields = { problem: messageOf(error), event: "presence_unknown" };
        this.#log.warn(fields, "could not ask nats-server who is connected, asking again");
        setTimeout(() => this.#gone === gone && this.list(), retryMs).unref();
      });
  }

  async #listUnless(gone: Set<string>): Promise<void> {
    for await (const presence of listConnections(this.#connection, this.#account)) {
      if (this.#gone !== gone) return;
      if (!gone.has(presence.connection)) this.#tell(presence);
    }
  }
}
