import type { NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { secondMs } from "../../shared/durations.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import type { Account } from "./account.ts";
import type { Presence } from "./system.ts";

/** Each is 1.5 kB of answer with its credentials, and an answer should stay below nats-server's usual 1 MB. */
const pageConnections = 500;
/** Servers of a cluster answer one by one; the next page is asked for when no more has come for this long. */
const stallMs = 300;
const answerMsMax = 5 * secondMs;
const retryMs = 2 * secondMs;

const Page = z.object({
  server: z.object({ id: z.string() }),
  data: z.object({
    connections: z
      .array(z.object({ cid: z.int(), authorized_user: z.string().optional(), jwt: z.string().optional() }))
      .nullish(),
  }),
});

/**
 * Everybody of an account who is connected now, to any server of the cluster; for whoever was not there to hear them
 * come. Source: nats-server, "System Events", `$SYS.REQ.SERVER.PING.CONNZ`.
 *
 * @throws Error of the NATS client when no server answers
 */
export async function* listConnections(
  connection: NatsConnection,
  account: string,
  perPage = pageConnections,
): AsyncGenerator<Presence> {
  for (let offset = 0; ; offset += perPage) {
    const request = JSON.stringify({ auth: true, acc: account, sort: "cid", limit: perPage, offset });
    const options = { strategy: "stall", stall: stallMs, maxWait: answerMsMax } as const;
    let isLast = true;
    for await (const reply of await connection.requestMany("$SYS.REQ.SERVER.PING.CONNZ", request, options)) {
      const { server, data } = Page.parse(reply.json());
      const page = data.connections ?? [];
      if (page.length >= perPage) isLast = false;
      for (const { cid, authorized_user: publicKey = "", jwt = "" } of page) {
        yield { publicKey, connection: `${server.id} ${cid}`, connected: true, reason: "", jwt };
      }
    }
    if (isLast) return;
  }
}

/** Lists who is connected while others come and go: whoever has left meanwhile is not told of as being there. */
export class PresentOnes {
  readonly #connection: NatsConnection;
  readonly #account: Account;
  readonly #tell: (presence: Presence) => void;
  readonly #log: Logger;
  /** Connections that ended while the list was on its way; undefined while there is none on its way. */
  #gone: Set<string> | undefined;

  constructor(connection: NatsConnection, account: Account, tell: (presence: Presence) => void, log: Logger) {
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
    for await (const presence of listConnections(this.#connection, this.#account.publicKey)) {
      if (this.#gone !== gone) return;
      if (!gone.has(presence.connection)) this.#tell(presence);
    }
  }
}
