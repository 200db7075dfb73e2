import type { AgentCredentials } from "../../shared/enrollment.ts";
import { BatchAck, decodeMessage, type StatusReport } from "../../shared/fleet-messages.ts";
import type { BanOrder, Order, Scope } from "../../shared/order.ts";
import type { Logger } from "../logger.ts";
import { openConnection } from "./connection.ts";
import { orderKeyOf, saveCredentials } from "./credentials.ts";
import { OrderReceiver, type OrderStore } from "./orders.ts";
import { Outbox, type OutboxStore } from "./outbox.ts";
import type { PositionsBySource } from "./pending-failures.ts";
import { Renewal } from "./renewal.ts";

export type FleetParts = Readonly<{
  credentials: AgentCredentials;
  credentialsFile: string;
  stores: Readonly<{ outbox: OutboxStore; orders: OrderStore }>;
  onOrders: (scope: Scope, orders: readonly Order[]) => void;
  refuse: (order: BanOrder) => string | undefined;
  onAcknowledged: (positions: PositionsBySource) => void;
  /** There is room for failures again. */
  onRoom: () => void;
  status: () => Pick<StatusReport, "version" | "firewall" | "enforcing" | "problems">;
  now: () => number;
  log: Logger;
}>;

export type Fleet = AsyncDisposable &
  Readonly<{
    outbox: Outbox;
    orders: OrderReceiver;
    connected(): boolean;
    /** Goes to the bus, for ever if need be. Before it, the orders of the last run are in force already. */
    start(): void;
  }>;

/** The agent's whole side of the fleet: failures out, orders in, credentials fresh. */
export function openFleet(parts: FleetParts): Fleet {
  const { stores, now, log } = parts;
  const random = Math.random;
  let connection: ReturnType<typeof openConnection> | undefined;
  const renewal = new Renewal({
    credentials: parts.credentials,
    save: (credentials) => saveCredentials(parts.credentialsFile, credentials),
    askForJwt: () => connection?.send("renew", new Uint8Array()) ?? false,
    reconnect: () => connection?.reconnect(),
    now,
    random,
    log,
  });
  const { host, tenant } = parts.credentials;
  const orders = new OrderReceiver({
    host,
    tenant,
    orderKey: orderKeyOf(parts.credentials),
    store: stores.orders,
    send: (verb, payload) => connection?.send(verb, payload) ?? false,
    onOrders: parts.onOrders,
    refuse: parts.refuse,
    status: parts.status,
    now,
    random,
    log,
  });
  const outbox = new Outbox({
    store: stores.outbox,
    send: (payload) => connection?.sendFailures(payload) ?? false,
    onAcknowledged: parts.onAcknowledged,
    onRoom: parts.onRoom,
    spreadMs: () => orders.spreadMs,
    now,
    random,
    log,
  });
  return {
    outbox,
    orders,
    connected: () => connection?.connected() ?? false,
    start() {
      connection = openConnection(
        () => renewal.credentials,
        {
          onConnected: () => {
            orders.connected();
            outbox.connected();
          },
          onOrders: (payload) => orders.receive(payload),
          onHello: (payload) => orders.hello(payload),
          onAck: (payload) => outbox.acknowledged(decodeMessage(BatchAck, payload, "acknowledgement")),
          onJwt: (payload) => renewal.receive(payload),
        },
        () => orders.spreadMs,
        log,
      );
    },
    async [Symbol.asyncDispose]() {
      orders[Symbol.dispose]();
      outbox[Symbol.dispose]();
      renewal[Symbol.dispose]();
      await connection?.[Symbol.asyncDispose]();
    },
  };
}
