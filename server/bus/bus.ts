import { randomUUID } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { messageOf } from "../../shared/errors.ts";
import { hostOfSubject, subjects, type UpVerb } from "../../shared/subjects.ts";
import { partitionCount } from "../domain/partition.ts";
import type { Logger } from "../logger.ts";
import { type BusAddress, closeConnection, connectAs, flushWithin } from "./connect.ts";
import { openFailureStream } from "./failure-stream.ts";
import { coordinatorJwt } from "./jwt.ts";
import type { BusKeys } from "./keys.ts";
import { coordinatorInbox } from "./permissions.ts";

/** One message of the failure stream. `host` is whom the bus let publish it; the payload is whatever that host sent. */
export type RawBatch = Readonly<{
  host: string;
  payload: Uint8Array;
  /** How the bus knows it again. */
  reply: string;
}>;

/**
 * The coordinator's side of the bus. It reconnects for ever; what is published while it is cut off is lost, and the
 * protocols above it (order revisions, batch sequences) repair that. No handler ever sees a reply subject: an agent
 * could write any other agent's there, and we would speak for it.
 */
export type Bus = AsyncDisposable &
  Readonly<{
    /**
     * Waits for failures, at most `waitMs`.
     *
     * @returns as many messages as are there, at most `countMax`; none when the time is over or the bus is cut off
     */
    pullFailures(countMax: number, waitMs: number): Promise<readonly RawBatch[]>;
    /** Reads the failures of the hosts of these partitions, and no others; at first of all. */
    readFailures(partitions: ReadonlySet<number>): void;
    /**
     * Only after the database committed; unacknowledged ones come again. Resolves when the bus has forgotten them, and so
     * has place for the hosts' next ones; when it does not say so, soon after all the same.
     */
    acknowledge(batches: readonly RawBatch[]): Promise<void>;
    /** For the coordinator that takes in their hosts' failures. */
    giveBack(batches: readonly RawBatch[]): void;
    /** Tells other coordinators that there is something of ours for them in the database. Heard from another, it ends `pullFailures`. */
    wakeOthers(): void;
    /** Ends the `pullFailures` that waits, or the next one. */
    wake(): void;
    publish(subject: string, payload: Uint8Array): void;
    /** Every `f2b.v1.up.<host>.<verb>`; one handler per verb. */
    onUp(verb: UpVerb, handler: (host: string, payload: Uint8Array) => void): Disposable;
    /** Every request of an enrolment token's user; the answer goes to that token's fixed inbox. */
    onEnroll(handler: (tokenId: string, payload: Uint8Array) => Promise<Uint8Array | undefined>): void;
    /** Now, if connected, and after every reconnect. */
    onConnected(handler: () => void): void;
    /** Resolves when the server has everything published so far, or rejects after `flushTimeoutMs`. */
    flush(): Promise<void>;
    connected(): boolean;
    /** Why failures are not read although we are connected, in a sentence, once that lasts. */
    streamProblem(): string | undefined;
    /** As the server last connected to says it: `2.11.16`. */
    serverVersion(): string;
  }>;

export const everyPartition: ReadonlySet<number> = new Set(
  Array.from({ length: partitionCount }, (_, number) => number),
);
/** Several coordinators share what agents ask. */
const queue = "coordinators";
/** Enrolments at work at once: each is one database transaction and one signature check of 30 ms. */
const enrollingMax = 4;

/**
 * @param partitions  of the hosts whose failures are read at first
 * @param admit  whether to hear one more message of this host; what is not heard is dropped, unread
 * @throws Fleet2banError `unavailable` when the first connect fails
 */
export async function openBus(
  address: BusAddress,
  keys: BusKeys,
  log: Logger,
  admit: (host: string) => boolean = () => true,
  partitions: ReadonlySet<number> = everyPartition,
): Promise<Bus> {
  const connection = await connectAs(address, {
    name: "coordinator",
    jwt: () => coordinatorJwt(keys, Date.now()),
    seed: keys.coordinator.seed,
    inbox: coordinatorInbox,
  });
  const failures = openFailureStream(connection, admit, log);
  failures.read(partitions);
  const ourName = randomUUID();
  connection.subscribe(subjects.coordinators, {
    callback: (error, message) => {
      if (error === null && message.string() !== ourName) failures.wake();
    },
  });
  let connected = true;
  const connectedHandlers: (() => void)[] = [];
  watch(connection, log, (state) => {
    connected = state;
    if (state) for (const handler of connectedHandlers) guarded(handler, log);
  });

  return {
    pullFailures: failures.pull,
    readFailures: failures.read,
    acknowledge: failures.acknowledge,
    giveBack: failures.giveBack,
    wake: failures.wake,
    wakeOthers() {
      if (!connection.isClosed()) connection.publish(subjects.coordinators, ourName);
    },
    publish(subject, payload) {
      if (!connection.isClosed()) connection.publish(subject, payload);
    },
    onUp(verb, handler) {
      return listen(connection, subjects.upOfAll(verb), log, (subject, payload) => {
        const host = hostOfSubject(subject);
        if (host !== undefined && admit(host)) handler(host, payload);
      });
    },
    onEnroll: (handler) => answerEnrollments(connection, handler, log),
    onConnected(handler) {
      connectedHandlers.push(handler);
      if (connected) guarded(handler, log);
    },
    flush: () => flushWithin(connection),
    connected: () => connected && !connection.isClosed(),
    streamProblem: () => (connected ? failures.problem() : undefined),
    serverVersion: () => connection.info?.version ?? "of unknown version",
    async [Symbol.asyncDispose]() {
      await failures[Symbol.asyncDispose]();
      await closeConnection(connection);
    },
  };
}

function answerEnrollments(
  connection: NatsConnection,
  handler: (tokenId: string, payload: Uint8Array) => Promise<Uint8Array | undefined>,
  log: Logger,
): void {
  let working = 0;
  const answer = async (tokenId: string, payload: Uint8Array) => {
    try {
      const reply = await handler(tokenId, payload);
      if (reply !== undefined && !connection.isClosed()) connection.publish(subjects.enrollInbox(tokenId), reply);
    } catch (error) {
      log.error({ err: error, event: "enroll_failed" }, "could not answer an enrolment");
    } finally {
      working -= 1;
    }
  };
  listen(connection, subjects.enrollOfAll, log, (subject, payload) => {
    const tokenId = subject.split(".")[3];
    // Whoever is turned away here asks again.
    if (tokenId === undefined || working >= enrollingMax) return;
    working += 1;
    void answer(tokenId, payload);
  });
}

/** Strangers' messages must not end the process, so nothing a handler throws gets out. */
function listen(
  connection: NatsConnection,
  subject: string,
  log: Logger,
  handler: (subject: string, payload: Uint8Array) => void,
): Disposable {
  const subscription = connection.subscribe(subject, {
    queue,
    callback: (error, message) => {
      if (error !== null) log.error({ err: error, subject, event: "bus_refused" }, "NATS refused a subscription");
      else guarded(() => handler(message.subject, message.data), log);
    },
  });
  return { [Symbol.dispose]: () => subscription.unsubscribe() };
}

function guarded(work: () => void, log: Logger): void {
  try {
    work();
  } catch (error) {
    log.warn({ problem: messageOf(error), event: "message_dropped" }, "dropped a message of the bus");
  }
}

function watch(connection: NatsConnection, log: Logger, connected: (state: boolean) => void): void {
  const follow = async () => {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") {
        log.warn({ event: "bus_lost" }, "lost the connection to NATS");
        connected(false);
      } else if (status.type === "reconnect") {
        log.info({ event: "bus_back" }, "connected to NATS again");
        connected(true);
      } else if (status.type === "error") {
        log.warn({ err: status.error, event: "bus_error" }, "NATS reported an error");
      } else if (status.type === "slowConsumer") {
        log.warn({ event: "bus_slow" }, "NATS found us slow");
      }
    }
    connected(false);
  };
  void follow();
}
