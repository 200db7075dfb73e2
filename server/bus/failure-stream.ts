import { setTimeout as sleep } from "node:timers/promises";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { dayMs, secondMs } from "../../shared/durations.ts";
import { hostOfSubject, partitionDefault, subjects } from "../../shared/subjects.ts";
import type { Logger } from "../logger.ts";
import type { RawBatch } from "./bus.ts";
import { streamBytesMax } from "./jwt.ts";
import { failureConsumer, failureStream } from "./permissions.ts";
import { pullForEver } from "./pull-requests.ts";

/** An agent has one batch in flight; repeats of it while we are away need little room, and a flood gets no more. */
const messagesPerHostMax = 5;
/** Agents resend what was never acknowledged, so nothing old is worth keeping. */
const messageAgeMaxMs = dayMs;
/** Longer than the longest ingest transaction; after it a batch comes again, and the cursor recognises it. */
const ackWaitMs = 30 * secondMs;
const unacknowledgedMax = 10_000;
/** Held here until the ingest comes for them. */
const heldMax = 2_000;
const retryMs = 500;
const nanosPerMs = 1_000_000;

export type FailureStream = AsyncDisposable &
  Readonly<{ pull(countMax: number, waitMs: number): Promise<readonly RawBatch[]> }>;

/**
 * Reads the work queue of failures, for ever: whatever goes wrong (the server restarts, its disk was wiped), stream and
 * consumer are made again and reading goes on.
 */
export function openFailureStream(
  connection: NatsConnection,
  admit: (host: string) => boolean,
  log: Logger,
): FailureStream {
  const held: RawBatch[] = [];
  let arrived = Promise.withResolvers<void>();
  let drained = Promise.withResolvers<void>();
  const closing = new AbortController();
  let reading = new AbortController();

  /** About one message, to the server. Source: nats-server, "JetStream wire API", acknowledgements. */
  const answer = (reply: string, word: "+ACK" | "+TERM"): void => {
    if (!connection.isClosed()) connection.publish(reply, word);
  };
  const take = (message: Msg): void => {
    const { subject, data, reply = "" } = message;
    const host = hostOfSubject(subject);
    // The first only the permissions' makers could cause. Either would come again for ever; an agent sends it again itself.
    if (host === undefined || !admit(host)) answer(reply, "+TERM");
    else held.push({ host, payload: data, ack: () => answer(reply, "+ACK") });
    arrived.resolve();
  };
  const room = async (): Promise<void> => {
    while (held.length >= heldMax && !closing.signal.aborted) await drained.promise;
  };
  const readOnce = async (): Promise<void> => {
    reading = new AbortController();
    const signal = AbortSignal.any([reading.signal, closing.signal]);
    const manager = await jetstreamManager(connection, { checkAPI: false });
    await ensureStream(manager);
    const consumer = failureConsumer(partitionDefault);
    await pullForEver(connection, { stream: failureStream, consumer, room, take, signal });
  };
  const read = async (): Promise<void> => {
    while (!closing.signal.aborted && !connection.isClosed()) {
      try {
        await readOnce();
      } catch (error) {
        if (closing.signal.aborted || connection.isClosed()) return;
        log.warn({ err: error, event: "failure_stream_lost" }, "could not read the failure stream; trying again");
      }
      await sleep(retryMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  // A server that comes back may have been killed: its consumer is then made anew, see `ensureStream`.
  const rereadAfterReconnects = async (): Promise<void> => {
    for await (const { type } of connection.status()) if (type === "reconnect") reading.abort();
  };
  void rereadAfterReconnects();
  const ended = read();

  return {
    async pull(countMax, waitMs) {
      if (held.length === 0) {
        arrived = Promise.withResolvers();
        const timer = new AbortController();
        const woken = AbortSignal.any([timer.signal, closing.signal]);
        await Promise.race([arrived.promise, sleep(waitMs, undefined, { signal: woken }).catch(() => undefined)]);
        timer.abort();
      }
      const batch = held.splice(0, countMax);
      drained.resolve();
      drained = Promise.withResolvers();
      return batch;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      drained.resolve();
      await ended;
    },
  };
}

async function ensureStream(manager: JetStreamManager): Promise<void> {
  const stream = {
    name: failureStream,
    subjects: [subjects.failuresOfAll],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    // An acknowledgement would go to whatever reply subject an agent chose to write, whoever's it is.
    no_ack: true,
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
    max_msgs_per_subject: messagesPerHostMax,
    max_bytes: streamBytesMax,
    max_age: messageAgeMaxMs * nanosPerMs,
  };
  try {
    await manager.streams.info(failureStream);
    await manager.streams.update(failureStream, stream);
  } catch {
    await manager.streams.add(stream);
  }
  // A nats-server that was killed may remember an acknowledgement and still hold the message: nobody would ever get it,
  // and five of them close their host's lane for a day. A new consumer gets everything again; the cursors know it.
  await manager.consumers.delete(failureStream, failureConsumer(partitionDefault)).catch(() => undefined);
  await manager.consumers.add(failureStream, {
    durable_name: failureConsumer(partitionDefault),
    filter_subject: subjects.failures(partitionDefault, "*"),
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: ackWaitMs * nanosPerMs,
    max_ack_pending: unacknowledgedMax,
  });
}
