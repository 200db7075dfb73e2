import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionOptions, NatsConnection, Subscription } from "@nats-io/transport-node";
import { secondMs } from "../../shared/durations.ts";
import type { AgentCredentials } from "../../shared/enrollment.ts";
import { messageOf } from "../../shared/errors.ts";
import { partitionDefault, subjects, type UpVerb } from "../../shared/subjects.ts";
import type { Logger } from "../logger.ts";
import { authenticatorFor, connectTo } from "./bus-places.ts";

export type FleetConnection = AsyncDisposable &
  Readonly<{
    /** False when cut off: nothing was sent, and nothing is kept to be sent later. */
    sendFailures(payload: Uint8Array): boolean;
    send(verb: UpVerb, payload: Uint8Array): boolean;
    connected(): boolean;
    /** Whether the bus answers now: a cut connection looks alive until something is asked over it. */
    ping(): Promise<boolean>;
    /** Comes back with the credentials as they are now, and hears the orders of the tenant they name. */
    reconnect(): void;
  }>;

export type FleetHandlers = Readonly<{
  /** After the first connect and every one after it; all subscriptions stand. */
  onConnected: () => void;
  /** Order frames of every kind, unverified. */
  onOrders: (payload: Uint8Array) => void;
  onHello: (payload: Uint8Array) => void;
  /** Of which positions nothing is missing. */
  onCurrent: (payload: Uint8Array) => void;
  onAck: (payload: Uint8Array) => void;
  onJwt: (payload: Uint8Array) => void;
}>;

/** Of the first connect, tried until it succeeds or the agent stops. */
const connectWaitMs = { first: 500, longest: 30 * secondMs } as const;
const connectTimeoutMs = 10 * secondMs;
const reconnectWaitMs = 100;
/** Whoever was cut off in the same moment comes back spread over at least this. */
const reconnectSpreadMs = 400;
const closeTimeoutMs = secondMs;
/** A server that vanished without a word is noticed after this, twice over. */
const pingIntervalMs = 20 * secondMs;
/** A bus that takes longer to answer one question is as good as cut off. */
const pingTimeoutMs = 4 * secondMs;

/**
 * The agent's line to the bus: core NATS, no requests, no reply subjects. It returns at once and connects in the
 * background, for ever: an agent must protect its host whether or not there is a coordinator.
 */
export function openConnection(
  /** Asked before each connect, so that renewed credentials are used. */
  credentials: () => AgentCredentials,
  handlers: FleetHandlers,
  /** How far this fleet's agents spread what they all do at the same moment. */
  spreadMs: () => number,
  log: Logger,
): FleetConnection {
  const closing = new AbortController();
  let connection: NatsConnection | undefined;
  let connected = false;
  /** undefined from the moment a new tenant is known until the line with its credentials stands. */
  let tenant: Subscription | undefined;
  let tenantName = credentials().tenant;
  const working = follow();

  async function follow(): Promise<void> {
    connection = await connectPatiently(credentials, spreadMs, closing.signal, log);
    if (connection === undefined) return;
    tenant = subscribeAll(connection, credentials(), handlers, log);
    const statuses = connection.status();
    connected = true;
    log.info({ url: credentials().url, event: "fleet_connected" }, "connected to the fleet");
    guarded(handlers.onConnected, log);
    for await (const status of statuses) {
      if (status.type === "disconnect") {
        connected = false;
        log.warn({ event: "fleet_lost" }, "lost the fleet; local protection goes on");
      } else if (status.type === "reconnect") {
        // What the credentials that were left behind allowed is refused now.
        tenant ??= subscribe(connection, subjects.tenantOrders(credentials().tenant), handlers.onOrders, log);
        connected = true;
        log.info({ event: "fleet_back" }, "connected to the fleet again");
        guarded(handlers.onConnected, log);
      } else if (status.type === "error") {
        log.warn({ problem: status.error.message, event: "fleet_refused" }, "the bus refused something");
      }
    }
  }

  const send = (subject: string, payload: Uint8Array): boolean => {
    if (!connected || connection === undefined || connection.isClosed()) return false;
    try {
      connection.publish(subject, payload);
      return true;
    } catch (error) {
      log.error({ subject, problem: messageOf(error), event: "send_failed" }, "could not send to the fleet");
      return false;
    }
  };
  return {
    sendFailures: (payload) => send(subjects.failures(partitionDefault, credentials().host), payload),
    send: (verb, payload) => send(subjects.up(credentials().host, verb), payload),
    connected: () => connected,
    async ping() {
      if (!connected || connection === undefined) return false;
      const timer = new AbortController();
      const timeout = sleep(pingTimeoutMs, false, { signal: timer.signal }).catch(() => false);
      const answered = connection.rtt().then(
        () => true,
        () => false,
      );
      const result = await Promise.race([answered, timeout]);
      timer.abort();
      return result;
    },
    reconnect() {
      if (credentials().tenant !== tenantName) {
        tenantName = credentials().tenant;
        tenant?.unsubscribe();
        tenant = undefined;
      }
      if (!connected) return;
      connection?.reconnect().catch((error: unknown) => {
        log.warn({ problem: messageOf(error), event: "reconnect_failed" }, "could not reconnect on purpose");
      });
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      if (connection !== undefined) await close(connection);
      await working;
    },
  };
}

function optionsFor(credentials: () => AgentCredentials, spreadMs: () => number): ConnectionOptions {
  const { host, seed } = credentials();
  return {
    name: host,
    authenticator: authenticatorFor(seed, () => credentials().jwt),
    inboxPrefix: `_INBOX.${host}`,
    maxReconnectAttempts: -1,
    // The default client gives up for ever after two refusals, which a restarting server may well give.
    ignoreAuthErrorAbort: true,
    ignoreClusterUpdates: true,
    reconnectDelayHandler: () => reconnectWaitMs + Math.random() * Math.max(reconnectSpreadMs, spreadMs()),
    pingInterval: pingIntervalMs,
    timeout: connectTimeoutMs,
  };
}

async function connectPatiently(
  credentials: () => AgentCredentials,
  spreadMs: () => number,
  signal: AbortSignal,
  log: Logger,
): Promise<NatsConnection | undefined> {
  let waitMs: number = connectWaitMs.first;
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const connection = await connectTo(credentials(), optionsFor(credentials, spreadMs), attempt);
      if (!signal.aborted) return connection;
      await close(connection);
    } catch (error) {
      const fields = { url: credentials().url, problem: messageOf(error), event: "fleet_unreachable" };
      log.warn(fields, "could not reach the fleet; local protection works, trying again");
      await sleep(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
      waitMs = Math.min(waitMs * 2, connectWaitMs.longest);
    }
  }
  return undefined;
}

/** @returns the one subscription that may have to change: the tenant's orders */
function subscribeAll(
  connection: NatsConnection,
  { host, tenant }: AgentCredentials,
  handlers: FleetHandlers,
  log: Logger,
): Subscription {
  const ofUs: Readonly<Record<string, (payload: Uint8Array) => void>> = {
    [subjects.down(host, "orders")]: handlers.onOrders,
    [subjects.down(host, "sync")]: handlers.onOrders,
    [subjects.down(host, "current")]: handlers.onCurrent,
    [subjects.down(host, "ack")]: handlers.onAck,
    [subjects.down(host, "jwt")]: handlers.onJwt,
  };
  subscribe(connection, subjects.fleetOrders, handlers.onOrders, log);
  subscribe(connection, subjects.hello, handlers.onHello, log);
  // One for all that is said to this host: each costs the server 2 kB and its part of every reconnect.
  subscribe(connection, subjects.downOf(host), (payload, subject) => ofUs[subject]?.(payload), log);
  return subscribe(connection, subjects.tenantOrders(tenant), handlers.onOrders, log);
}

function subscribe(
  connection: NatsConnection,
  subject: string,
  handler: (payload: Uint8Array, subject: string) => void,
  log: Logger,
): Subscription {
  return connection.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) {
        log.warn({ subject, problem: error.message, event: "fleet_refused" }, "the bus refused a subscription");
      } else guarded(() => handler(message.data, message.subject), log);
    },
  });
}

/** What comes over the wire must not end the agent. */
function guarded(work: () => void, log: Logger): void {
  try {
    work();
  } catch (error) {
    log.warn({ problem: messageOf(error), event: "message_dropped" }, "dropped a message of the fleet");
  }
}

/** A flush on a connection the server has closed never settles, so nobody waits for it. */
async function close(connection: NatsConnection): Promise<void> {
  const timer = new AbortController();
  const timeout = sleep(closeTimeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([connection.flush().catch(() => undefined), timeout]);
  timer.abort();
  await connection.close();
}
