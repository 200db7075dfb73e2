import type { AgentCredentials } from "../../shared/enrollment.ts";
import { BatchAck, decodeMessage, type StatusReport } from "../../shared/fleet-messages.ts";
import type { Logger } from "../logger.ts";
import { type FleetConnection, openConnection } from "./connection.ts";
import { orderKeyOf, saveCredentials } from "./credentials.ts";
import type { Parcel } from "./open-batch.ts";
import { OrderReceiver, type OrderReceiverParts, type OrderStore } from "./orders.ts";
import { Outbox, type OutboxStore } from "./outbox.ts";
import { Renewal } from "./renewal.ts";

export type FleetParts = Readonly<{
  credentials: AgentCredentials;
  /** Where renewed credentials go. */
  credentialsFile: string;
  outboxStore: OutboxStore;
  orderStore: OrderStore;
  now: () => number;
  random: () => number;
  log: Logger;
}> &
  Pick<OrderReceiverParts, "onOrders" | "refuse" | "status">;

export type Fleet = AsyncDisposable &
  Readonly<{
    /** See `Outbox.add`. */
    add(parcel: Parcel): void;
    state(): FleetState;
    /** Sentences about what reaches no coordinator any more. */
    problems(): readonly string[];
    /** See `OrderReceiver.canary`. */
    canary(): string | undefined;
    /** Tells the coordinator now what `status` says, and not with the next regular report. */
    report(): void;
    /** Whether the coordinator's bus answers now. */
    reached(): Promise<boolean>;
  }>;

export type FleetState = Readonly<{
  host: string;
  tenant: string;
  connected: boolean;
  /** Every order there is has been carried out, as far as anybody has said. */
  inSync: boolean;
  /** The coordinator wants its bans kept and not carried out here. */
  observes: boolean;
  badFrames: number;
  positions: StatusReport["scopes"];
}> &
  Outbox["state"];

/**
 * This host's part in the fleet: failures go out, orders come in, credentials stay fresh. Orders kept from the last run
 * are given to `onOrders` before this returns; everything else happens when there is a connection.
 */
export function openFleet(parts: FleetParts): Fleet {
  const { now, random, log } = parts;
  const line: { connection: FleetConnection | undefined } = { connection: undefined };
  const renewal = new Renewal({
    credentials: parts.credentials,
    save: (credentials) => saveCredentials(parts.credentialsFile, credentials),
    askForJwt: () => line.connection?.send("renew", new Uint8Array()) ?? false,
    reconnect: () => line.connection?.reconnect(),
    onTenant: (tenant) => receiver.moveTo(tenant),
    now,
    random,
    log,
  });
  const receiver: OrderReceiver = new OrderReceiver({
    host: parts.credentials.host,
    tenant: parts.credentials.tenant,
    orderKey: orderKeyOf(parts.credentials),
    nextKey: () => renewal.credentials.orderKeyNext,
    onNextKey: () => renewal.followKey(),
    store: parts.orderStore,
    send: (verb, payload) => line.connection?.send(verb, payload) ?? false,
    onOrders: parts.onOrders,
    refuse: parts.refuse,
    status: parts.status,
    now,
    random,
    log,
  });
  const spreadMs = () => receiver.spreadMs;
  const outbox = new Outbox({
    store: parts.outboxStore,
    send: (payload) => line.connection?.sendFailures(payload) ?? false,
    spreadMs,
    now,
    random,
    log,
  });
  const connection = openConnection(
    () => renewal.credentials,
    {
      onConnected() {
        receiver.connected();
        outbox.connected();
      },
      onOrders: (payload) => receiver.receive(payload),
      onHello: (payload) => receiver.hello(payload),
      onCurrent: (payload) => receiver.confirm(payload),
      onAck: (payload) => outbox.acknowledged(decodeMessage(BatchAck, payload, "acknowledgement")),
      onJwt: (payload) => renewal.receive(payload),
    },
    spreadMs,
    log,
  );
  line.connection = connection;

  return {
    add: (parcel) => outbox.add(parcel),
    canary: () => receiver.canary,
    report: () => receiver.report(),
    reached: () => connection.ping(),
    problems: () => outbox.problems,
    state: () => ({
      host: parts.credentials.host,
      tenant: renewal.credentials.tenant,
      connected: connection.connected(),
      inSync: connection.connected() && receiver.inSync(),
      observes: receiver.observes,
      badFrames: receiver.badFrames,
      positions: receiver.positions(),
      ...outbox.state,
    }),
    async [Symbol.asyncDispose]() {
      outbox[Symbol.dispose]();
      receiver[Symbol.dispose]();
      renewal[Symbol.dispose]();
      await connection[Symbol.asyncDispose]();
    },
  };
}
