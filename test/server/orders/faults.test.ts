import assert from "node:assert/strict";
import { test } from "node:test";
import { openConnection } from "../../../agent/fleet/connection.ts";
import { orderKeyOf } from "../../../agent/fleet/credentials.ts";
import { OrderReceiver } from "../../../agent/fleet/orders.ts";
import { type Bus, openBus } from "../../../server/bus/bus.ts";
import { type Publisher, startPublisher } from "../../../server/orders/publisher.ts";
import { decodeMessage, StatusReport } from "../../../shared/fleet-messages.ts";
import type { Order } from "../../../shared/order.ts";
import { MemoryOrderStore, quietLog } from "../../support/fleet-memory.ts";
import { MemoryOrderLog } from "../../support/memory-order-log.ts";
import { startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";
import { rawAgent } from "../../support/raw-nats.ts";

/** Of all messages, each way: so many are lost, so many come twice, so many come late and so out of order. */
const share = { lost: 0.3, twice: 0.3, late: 0.3 } as const;
const lateMsMax = 150;
const hostCount = 8;
const seed = Number(process.env.FLEET2BAN_TEST_SEED ?? Date.now() % 2 ** 31);

/** Mulberry32: a failure can be had again with its seed. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = randomFrom(seed);

/** The line between an agent and the bus; as bad as one likes. */
class BadLine {
  bad = true;
  readonly #timers = new Set<NodeJS.Timeout>();

  pass(deliver: () => void): void {
    if (!this.bad) {
      deliver();
      return;
    }
    if (random() < share.lost) return;
    const times = random() < share.twice ? 2 : 1;
    for (let count = 0; count < times; count += 1) {
      if (random() >= share.late) deliver();
      else this.#later(deliver, random() * lateMsMax);
    }
  }

  #later(deliver: () => void, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      deliver();
    }, delayMs);
    this.#timers.add(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

/** The agent's order code and its connection, with a bad line between them. Its disk outlives it. */
class Host implements AsyncDisposable {
  readonly name: string;
  readonly store = new MemoryOrderStore();
  /** What was handed on and not taken back. */
  readonly enforced = new Map<number, Order>();
  readonly line = new BadLine();
  readonly #credentials;
  #parts: Readonly<{ receiver: OrderReceiver; connection: ReturnType<typeof openConnection> }> | undefined;

  constructor(nats: TestNats, name: string) {
    this.name = name;
    const { url, jwt, seed: key } = rawAgent(nats, name);
    const { ordersPublic: orderKey } = nats.keys;
    this.#credentials = { v: 1, url, ca: null, orderKey, host: name, tenant: "t1", seed: key, jwt } as const;
  }

  get receiver(): OrderReceiver | undefined {
    return this.#parts?.receiver;
  }

  start(): void {
    const credentials = this.#credentials;
    const { line } = this;
    const receiver: OrderReceiver = new OrderReceiver({
      ...{ host: this.name, tenant: "t1", orderKey: orderKeyOf(credentials), store: this.store },
      send: (verb, payload) => {
        if (!connection.connected()) return false;
        line.pass(() => void connection.send(verb, payload));
        return true;
      },
      onOrders: (scope, orders) => {
        if (scope === "fleet") for (const order of orders) this.#enforce(order);
      },
      refuse: () => undefined,
      status: () => ({ version: "0", firewall: "observe", enforcing: true, problems: [] }),
      ...{ now: Date.now, random, log: quietLog },
    });
    const connection = openConnection(
      () => credentials,
      {
        onConnected: () => receiver.connected(),
        onOrders: (payload) => line.pass(() => receiver.receive(payload)),
        onHello: (payload) => line.pass(() => receiver.hello(payload)),
        onCurrent: (payload) => line.pass(() => receiver.confirm(payload)),
        onAck: () => undefined,
        onJwt: () => undefined,
      },
      () => receiver.spreadMs,
      quietLog,
    );
    this.#parts = { receiver, connection };
  }

  disconnect(): void {
    this.#parts?.connection.reconnect();
  }

  /** As `kill -9`, and what is on the disk has rotted. */
  async damage(): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.enforced.clear();
    for (const [scope, { standing, ...place }] of this.store.load()) {
      this.store.replace(scope, place, standing.slice(1));
    }
    this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts?.receiver[Symbol.dispose]();
    await this.#parts?.connection[Symbol.asyncDispose]();
    this.#parts = undefined;
  }

  #enforce(order: Order): void {
    if (order.kind === "ban") this.enforced.set(order.id, order);
    else if (order.kind === "unban") this.enforced.delete(order.id);
  }
}

type Coordinator = AsyncDisposable & Readonly<{ bus: Bus; publisher: Publisher }>;

async function startCoordinator(nats: TestNats, orderLog: MemoryOrderLog): Promise<Coordinator> {
  const bus = await openBus(nats.address, nats.keys, testLog);
  const publisher = await startPublisher({
    ...{ bus, orderLog, canary: null, signingKey: nats.keys.orders, now: Date.now, log: testLog },
    agentsOf: () => hostCount,
    tenantOf: () => "t1",
    observes: () => false,
  });
  bus.onUp("status", (host, payload) => {
    publisher.noticeStatus(host, decodeMessage(StatusReport, payload, host));
  });
  return {
    ...{ bus, publisher },
    async [Symbol.asyncDispose]() {
      await publisher[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
    },
  };
}

test(`messages lost, doubled and swapped, lines cut, bus killed, coordinator replaced, disks rotten: nobody diverges (seed ${seed})`, async () => {
  await using nats = await startTestNats();
  await using stack = new AsyncDisposableStack();
  const orderLog = new MemoryOrderLog();
  let coordinator = await startCoordinator(nats, orderLog);
  stack.defer(() => coordinator[Symbol.asyncDispose]());
  const hosts = Array.from({ length: hostCount }, (_, index) => stack.use(new Host(nats, `h${index}`)));
  for (const host of hosts) host.start();
  let bans = 0;
  const publish = (count: number): void => {
    for (let done = 0; done < count; done += 1) {
      const lifts = bans > 10 && random() < 0.4;
      if (!lifts) bans += 1;
      const id = lifts ? 1 + Math.floor(random() * bans) : bans;
      const net = `2001:db8:${id.toString(16)}::/64`;
      const order: Order = lifts
        ? { kind: "unban", id, net, reason: "admin" }
        : { kind: "ban", id, net, untilMs: Date.now() + 3_600_000, ports: null, level: 0 };
      coordinator.publisher.publish("fleet", orderLog.append("fleet", [order]));
    }
  };
  const reached = () => hosts.some(({ receiver }) => (receiver?.positions()[0]?.revision ?? 0) >= published());
  const published = () => coordinator.publisher.head("fleet");
  const hostAt = (index: number): Host => hosts[index % hostCount] ?? new Host(nats, "none");

  for (let round = 0; round < 12; round += 1) {
    publish(40);
    hostAt(round).disconnect();
    if (round % 3 === 1) await hostAt(round + 3).damage();
    if (round === 4) {
      const pid = nats.server.pid() ?? 0;
      process.kill(pid, "SIGKILL");
      await until(async () => nats.server.pid() !== pid && (await nats.server.healthy()), "the bus is back");
    }
    if (round === 8) {
      await coordinator[Symbol.asyncDispose]();
      orderLog.epoch += 1;
      coordinator = await startCoordinator(nats, orderLog);
    }
    await until(reached, "somebody to have got the round's orders", 60_000);
  }
  for (const { line } of hosts) line.bad = false;
  const diverged = () =>
    hosts.filter(({ receiver, store }) => {
      const fleet = receiver?.positions().find(({ scope }) => scope === "fleet");
      return fleet?.hash !== orderLog.hash("fleet") || store.hash("fleet") !== fleet.hash || !receiver?.inSync();
    });
  await until(() => diverged().length === 0, "all to hold the coordinator's set", 90_000);
  // On the way there a new epoch heals much. What a hash alone can find is found too.
  for (const host of hosts) await host.damage();
  await until(() => diverged().length === 0, "all to have noticed what their disks lost", 90_000);
  const { standing } = await orderLog.activeSet("fleet");
  const wanted = standing.map(({ id }) => id).toSorted((one, other) => one - other);
  for (const { name, enforced, line } of hosts) {
    assert.deepEqual(
      [...enforced.keys()].toSorted((one, other) => one - other),
      wanted,
      `${name}: what it enforces`,
    );
    line.close();
  }
});
