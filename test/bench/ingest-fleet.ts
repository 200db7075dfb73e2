import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { agentJwt } from "../../server/bus/jwt.ts";
import { type BusKeys, newUserNkey } from "../../server/bus/keys.ts";
import { encodeFailureBatch, type Failure } from "../../shared/failure-batch.ts";
import { subjects } from "../../shared/subjects.ts";
import { hostOfAck } from "./ingest-traffic.ts";

/** As agents do: a batch that was not acknowledged goes out again, unchanged. */
const resendMs = 5_000;
/** Batches sent twice on purpose, one in so many: the second must count for nothing. */
const repeatEvery = 50;

type Sender = {
  host: string;
  sequence: number;
  pending: Buffer | undefined;
  rows: number;
  sentMs: number;
  next: number;
};

/** A batch without its number, which it gets from whoever sends it: what encoding costs, a real fleet's own cores pay. */
export type Prepared = Readonly<{ body: Buffer; rows: number; lines: number }>;

const epoch = "bench";
/** What follows the number in an encoded batch. */
const bodyStart = '"t":';

export function prepare(failures: readonly Failure[]): Prepared {
  const text = encodeFailureBatch({ epoch, sequence: 1, failures, localBans: [] });
  return {
    body: Buffer.from(text.slice(text.indexOf(bodyStart))),
    rows: failures.length,
    lines: failures.reduce((sum, failure) => sum + failure.count, 0),
  };
}

/** The sending half of a whole fleet on one connection: each agent has one batch in flight and numbers its own. */
export class IngestFleet implements AsyncDisposable {
  readonly #connection: NatsConnection;
  readonly #senders = new Map<string, Sender>();
  readonly #waiting: Sender[] = [];
  readonly #sent = new Map<string, number>();
  readonly #resends: NodeJS.Timeout;
  onAcknowledged: (rows: number) => void = () => undefined;
  batches = 0;
  repeats = 0;

  private constructor(connection: NatsConnection, hosts: readonly string[]) {
    this.#connection = connection;
    for (const host of hosts) {
      const sender = { host, sequence: 0, pending: undefined, rows: 0, sentMs: 0, next: 0 };
      this.#senders.set(host, sender);
      this.#waiting.push(sender);
    }
    connection.subscribe(subjects.down("*" as string, "ack"), {
      callback: (_error, message) =>
        this.#acknowledged(hostOfAck(message.subject), message.json<{ sequence: number }>()),
    });
    this.#resends = setInterval(() => this.#resend(), resendMs / 5);
  }

  /** The user's name stands for its host in every permission, so one called `*` may speak for all. */
  static async connect(url: string, keys: BusKeys, hosts: readonly string[]): Promise<IngestFleet> {
    const { publicKey, seed } = newUserNkey();
    const jwt = agentJwt(keys, { publicKey, host: "*", tenant: "default" }, Date.now());
    const authenticator = jwtAuthenticator(jwt, new TextEncoder().encode(seed));
    return new IngestFleet(await connect({ servers: url, authenticator }), hosts);
  }

  /** What agents hear of the whole fleet's orders. */
  onOrders(handler: (payload: Uint8Array) => void): void {
    this.#connection.subscribe(subjects.fleetOrders, { callback: (_error, message) => handler(message.data) });
  }

  /** An agent with nothing in flight sends these; false when all are waiting for their acknowledgement. */
  send({ body, rows, lines }: Prepared): boolean {
    const sender = this.#waiting.pop();
    if (sender === undefined) return false;
    sender.sequence += 1;
    const { host, sequence } = sender;
    sender.pending = Buffer.concat([Buffer.from(`{"v":1,"e":"${epoch}","s":${sequence},`), body]);
    sender.rows = rows;
    this.#sent.set(host, (this.#sent.get(host) ?? 0) + lines);
    this.#publish(sender);
    this.batches += 1;
    if (this.batches % repeatEvery === 0) {
      this.#publish(sender);
      this.repeats += 1;
    }
    return true;
  }

  /** Lines each host has sent, once each. */
  sent(): ReadonlyMap<string, number> {
    return this.#sent;
  }

  inFlight(): number {
    return this.#senders.size - this.#waiting.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#resends);
    await this.#connection.close();
  }

  #publish(sender: Sender): void {
    if (sender.pending === undefined) return;
    sender.sentMs = performance.now();
    this.#connection.publish(subjects.failures(0, sender.host), sender.pending);
  }

  #acknowledged(host: string, { sequence }: { sequence: number }): void {
    const sender = this.#senders.get(host);
    if (sender?.pending === undefined || sequence < sender.sequence) return;
    sender.pending = undefined;
    // The one that has waited longest sends next: all take turns.
    this.#waiting.unshift(sender);
    this.onAcknowledged(sender.rows);
  }

  #resend(): void {
    const before = performance.now() - resendMs;
    for (const sender of this.#senders.values())
      if (sender.pending !== undefined && sender.sentMs < before) this.#publish(sender);
  }
}
