import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { secondMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { coordinatorInbox } from "./permissions.ts";

const requestMessagesMax = 1_000;
const requestMs = 10 * secondMs;
/** nats-server says as often that a request still waits; less than half of what the request lasts, or it is refused. */
const heartbeatMs = 2 * secondMs;
/** Heartbeats missed until a request is given up. Counted, not timed: a process that was busy has heard nothing either. */
const silentHeartbeatsMax = 3;
const nanosPerMs = 1_000_000;

/** Statuses in the header of a message without content. Source: nats-server, "JetStream wire API", pull consumers. */
const status = { heartbeat: 100, noMessages: 404, timeIsOver: 408, ended: 409 } as const;
const noRoomForNext = /message size exceeds maxbytes/i;

export type PullOptions = Readonly<{
  stream: string;
  consumer: string;
  /** Of one request: more than the largest message. */
  bytesMax: number;
  /** Waits until more may come. */
  room: () => Promise<void>;
  take: (message: Msg) => void;
  signal: AbortSignal;
}>;

/**
 * Reads a pull consumer, one request after another, until the signal. Not by the library's `consume`: it keeps an account
 * of the bytes that are still on their way, never gives back what a request did not use, and then asks for less than the
 * next message needs; it noticed after 45 s of silence.
 *
 * @throws Fleet2banError `unavailable` when the consumer is gone or silent; make it anew and read on
 */
export async function pullForEver(connection: NatsConnection, options: PullOptions): Promise<void> {
  const { stream, consumer, room, signal } = options;
  const inbox = createInbox(coordinatorInbox);
  const body = JSON.stringify({
    batch: requestMessagesMax,
    max_bytes: options.bytesMax,
    expires: requestMs * nanosPerMs,
    idle_heartbeat: heartbeatMs * nanosPerMs,
  });
  let request: Request | undefined;
  const subscription = connection.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error !== null) request?.fail(`NATS refused the inbox of requests: ${error.message}`);
      else if (isStatus(message)) request?.status(message);
      else {
        // Also one that is late for its request: it is ours, and would only come again.
        options.take(message);
        request?.count();
      }
    },
  });
  try {
    for (let number = 1; !signal.aborted; number += 1) {
      await room();
      if (signal.aborted) return;
      request = new Request(`${inbox}.${number}`);
      connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, body, { reply: request.inbox });
      await request.ended(signal);
    }
  } finally {
    if (!connection.isClosed()) subscription.unsubscribe();
  }
}

/** What the server says of a request comes to the request's own inbox; messages keep the subject they were sent to. */
function isStatus(message: Msg): boolean {
  return message.headers !== undefined && message.headers.code > 0 && message.subject.startsWith(coordinatorInbox);
}

/** One request on its way: the server answers until it is full, its time is over or the next message has no room. */
class Request {
  readonly inbox: string;
  readonly #end = Promise.withResolvers<void>();
  #left = requestMessagesMax;
  #isHeard = false;

  constructor(inbox: string) {
    this.inbox = inbox;
  }

  /** Resolves at its end, or at the signal. */
  async ended(signal: AbortSignal): Promise<void> {
    let silent = 0;
    const listening = setInterval(() => {
      silent = this.#isHeard ? 0 : silent + 1;
      this.#isHeard = false;
      if (silent > silentHeartbeatsMax) this.fail("a request for failures was not answered");
    }, heartbeatMs);
    const stop = (): void => this.#end.resolve();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#end.promise;
    } finally {
      clearInterval(listening);
      signal.removeEventListener("abort", stop);
    }
  }

  count(): void {
    this.#isHeard = true;
    this.#left -= 1;
    if (this.#left === 0) this.#end.resolve();
  }

  status(message: Msg): void {
    // An earlier request's.
    if (message.subject !== this.inbox) return;
    this.#isHeard = true;
    const { code = 0, description = "" } = message.headers ?? {};
    if (code === status.heartbeat) return;
    const isUsed = this.#left < requestMessagesMax;
    if (code === status.noMessages || code === status.timeIsOver) this.#end.resolve();
    else if (code === status.ended && noRoomForNext.test(description) && isUsed) this.#end.resolve();
    else this.fail(`the failure stream said ${code} ${description}`);
  }

  fail(problem: string): void {
    this.#end.reject(new Fleet2banError("unavailable", problem));
  }
}
