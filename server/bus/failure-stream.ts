import { setTimeout as sleep } from "node:timers/promises";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { dayMs, secondMs } from "../../shared/durations.ts";
import { hostOfSubject, subjects } from "../../shared/subjects.ts";
import { partitionCount } from "../domain/partition.ts";
import type { Logger } from "../logger.ts";
import type { RawBatch } from "./bus.ts";
import { streamBytesMax } from "./jwt.ts";
import { failureConsumer, failureStream } from "./permissions.ts";
import { pullForEver } from "./pull-requests.ts";
import { StreamTroubles } from "./stream-troubles.ts";

/**
 * An agent has one batch in flight, and a repeat of one that waits is refused. With more than one of a host, nats-server
 * looks for the next whenever it forgets the first, through everything that waits: a queue that had once grown long made
 * it ten times slower, and longer still. Source: `removeSeqPerSubject` in the profile of 2.9.10.
 */
const messagesPerHostMax = 1;
/** Agents resend what was never acknowledged, so nothing old is worth keeping. */
const messageAgeMaxMs = dayMs;
/** Longer than the longest ingest transaction; after it a batch comes again, and the cursor recognises it. */
const ackWaitMs = 30 * secondMs;
const unacknowledgedMax = 10_000;
/** Of one request; each partition has one on its way. Together below nats-server's `max_pending`, or it would cut us off. */
const bytesMax = (1024 * 1024) / partitionCount;
/** Held here until the ingest comes for them. */
const heldMax = 2_000;
const retryMs = 500;
/** What belongs to another coordinator's hosts: until then it reads them, and we do not any more. */
const giveBackMs = 200;
/** A server that does not say that it has forgotten must not keep agents waiting. */
const forgetMs = secondMs;
const nanosPerMs = 1_000_000;

export type FailureStream = AsyncDisposable &
  Readonly<{
    pull(countMax: number, waitMs: number): Promise<readonly RawBatch[]>;
    /** Reads the hosts of these partitions from now on, and no others. */
    read(partitions: ReadonlySet<number>): void;
    /** Resolves when the server has forgotten them, or after `forgetMs`. */
    acknowledge(batches: readonly RawBatch[]): Promise<void>;
    giveBack(batches: readonly RawBatch[]): void;
    /** Ends the pull that waits, or the next one, at once. */
    wake(): void;
    /** Why failures are not read, once that lasts; the connection itself is not its matter. */
    problem(): string | undefined;
  }>;

/**
 * Reads the work queue of failures, for ever: whatever goes wrong (the server restarts, its disk was wiped), stream and
 * consumers are made again and reading goes on. Each partition has a consumer of its own.
 */
export function openFailureStream(
  connection: NatsConnection,
  admit: (host: string) => boolean,
  log: Logger,
): FailureStream {
  const held: RawBatch[] = [];
  let arrived = Promise.withResolvers<void>();
  let drained = Promise.withResolvers<void>();
  let isWoken = false;
  const closing = new AbortController();
  const readers = new Map<number, Reader>();
  const troubles = new StreamTroubles(log);
  let ensuring: Promise<void> | undefined;
  // All readers begin at once. Of several that make the stream, nats-server refuses all but one for want of memory.
  const ensureOnce = (manager: JetStreamManager): Promise<void> => {
    ensuring ??= ensureStream(manager).finally(() => {
      ensuring = undefined;
    });
    return ensuring;
  };

  /** About one message, to the server. Source: nats-server, "JetStream wire API", acknowledgements. */
  const answer = (reply: string, word: string): void => {
    if (!connection.isClosed()) connection.publish(reply, word);
  };
  const acknowledge = async (batches: readonly RawBatch[]): Promise<void> => {
    // The server goes through those of one consumer in their order: confirming the last, it has forgotten all.
    const last = new Map(batches.map(({ reply }) => [consumerOf(reply), reply]));
    for (const { reply } of batches) if (last.get(consumerOf(reply)) !== reply) answer(reply, "+ACK");
    if (connection.isClosed()) return;
    const confirmed = [...last.values()].map((reply) => connection.request(reply, "+ACK", { timeout: forgetMs }));
    // What it did not hear of comes again, and counts once.
    await Promise.allSettled(confirmed);
  };
  const take = (message: Msg): void => {
    const { subject, data, reply = "" } = message;
    const host = hostOfSubject(subject);
    // The first only the permissions' makers could cause. Either would come again for ever; an agent sends it again itself.
    if (host === undefined || !admit(host)) answer(reply, "+TERM");
    else held.push({ host, payload: data, reply });
    arrived.resolve();
  };
  const room = async (): Promise<void> => {
    while (held.length >= heldMax && !closing.signal.aborted) await drained.promise;
  };
  const startReader = (partition: number): Reader => {
    const stopping = new AbortController();
    const signal = AbortSignal.any([stopping.signal, closing.signal]);
    let again = new AbortController();
    const readOnce = async (): Promise<void> => {
      again = new AbortController();
      const manager = await jetstreamManager(connection, { checkAPI: false });
      await ensureOnce(manager);
      await ensureConsumer(manager, partition);
      troubles.over(partition);
      const until = AbortSignal.any([again.signal, signal]);
      const consumer = failureConsumer(partition);
      await pullForEver(connection, { stream: failureStream, consumer, bytesMax, room, take, signal: until });
    };
    const readOn = async (): Promise<void> => {
      while (!signal.aborted && !connection.isClosed()) {
        try {
          await readOnce();
        } catch (error) {
          if (signal.aborted || connection.isClosed()) return;
          troubles.failed(partition, error, performance.now());
        }
        await sleep(retryMs, undefined, { signal }).catch(() => undefined);
      }
      troubles.over(partition);
    };
    return { ended: readOn(), again: () => again.abort(), stop: () => stopping.abort() };
  };
  const stopped: Promise<void>[] = [];
  const read = (partitions: ReadonlySet<number>): void => {
    if (closing.signal.aborted) return;
    for (const [partition, reader] of readers) {
      if (partitions.has(partition)) continue;
      reader.stop();
      stopped.push(reader.ended);
      readers.delete(partition);
    }
    for (const partition of partitions) {
      if (!readers.has(partition)) readers.set(partition, startReader(partition));
    }
  };
  // A server that comes back may have been killed: its consumers are then made anew, see `ensureConsumer`.
  const rereadAfterReconnects = async (): Promise<void> => {
    for await (const { type } of connection.status()) {
      if (type === "reconnect") for (const reader of readers.values()) reader.again();
    }
  };
  void rereadAfterReconnects();

  return {
    read,
    acknowledge,
    giveBack(batches) {
      for (const { reply } of batches) answer(reply, `-NAK {"delay": ${giveBackMs * nanosPerMs}}`);
    },
    async pull(countMax, waitMs) {
      if (held.length === 0 && !isWoken) {
        arrived = Promise.withResolvers();
        const timer = new AbortController();
        const woken = AbortSignal.any([timer.signal, closing.signal]);
        await Promise.race([arrived.promise, sleep(waitMs, undefined, { signal: woken }).catch(() => undefined)]);
        timer.abort();
      }
      isWoken = false;
      const batch = held.splice(0, countMax);
      drained.resolve();
      drained = Promise.withResolvers();
      return batch;
    },
    wake() {
      isWoken = true;
      arrived.resolve();
    },
    problem: () => (connection.isClosed() ? undefined : troubles.problem(performance.now())),
    async [Symbol.asyncDispose]() {
      closing.abort();
      drained.resolve();
      await Promise.all([...stopped, ...[...readers.values()].map(({ ended }) => ended)]);
    },
  };
}

/** `$JS.ACK.STREAM.CONSUMER.…` */
function consumerOf(reply: string): string {
  return reply.split(".", 4)[3] ?? "";
}

/** Of one partition. `again`: from the start, with a new consumer. */
type Reader = Readonly<{ ended: Promise<void>; again: () => void; stop: () => void }>;

/**
 * In the server's memory: what is lost with the server is on the disk of whoever sent it, who sends it again until its
 * failures are in the database. A copy on the server's disk would keep nothing longer and cost it half of its work.
 */
async function ensureStream(manager: JetStreamManager): Promise<void> {
  const stream = {
    name: failureStream,
    subjects: [subjects.failuresOfAll],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.Memory,
    // An acknowledgement would go to whatever reply subject an agent chose to write, whoever's it is.
    no_ack: true,
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
    max_msgs_per_subject: messagesPerHostMax,
    max_bytes: streamBytesMax,
    max_age: messageAgeMaxMs * nanosPerMs,
  };
  const found = await manager.streams.info(failureStream).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  });
  if (found?.config.storage === stream.storage) {
    await manager.streams.update(failureStream, stream);
    return;
  }
  // On the disk, of an earlier release: where a stream is cannot be changed.
  if (found !== undefined) await manager.streams.delete(failureStream);
  await manager.streams.add(stream).catch(async (error: unknown) => {
    // Or another coordinator made it in the same moment.
    await manager.streams.info(failureStream).catch(() => Promise.reject(error));
  });
}

async function ensureConsumer(manager: JetStreamManager, partition: number): Promise<void> {
  // What the old one gave to a coordinator that has ended, or over a connection that broke, would come again only when
  // nobody has acknowledged it for long. A new consumer gets everything at once; the cursors know what they have.
  await manager.consumers.delete(failureStream, failureConsumer(partition)).catch(() => undefined);
  await manager.consumers.add(failureStream, {
    durable_name: failureConsumer(partition),
    filter_subject: subjects.failures(partition, "*"),
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: ackWaitMs * nanosPerMs,
    max_ack_pending: unacknowledgedMax,
  });
}
