import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mock, test } from "node:test";
import { OrderReceiver } from "../../../agent/fleet/orders.ts";
import { ScopeFrames } from "../../../server/orders/scope-frames.ts";
import { ScopeLog } from "../../../server/orders/scope-log.ts";
import { encodeMessage, type SyncRequest } from "../../../shared/fleet-messages.ts";
import type { Order, Scope } from "../../../shared/order.ts";
import { frameOrdersMax } from "../../../shared/order-frame.ts";
import { MemoryOrderStore, quietLog } from "../../support/fleet-memory.ts";

const keys = generateKeyPairSync("ed25519");
const context = { signingKey: keys.privateKey, epoch: 1, nowMs: 1_000, spreadMs: 10_000 };

/** A coordinator's word on one scope, after so many bans. */
function framesOf(scope: Scope, bans: number): ScopeFrames {
  const log = new ScopeLog();
  const orders = Array.from({ length: bans }, (_, index): Order => {
    const net = `2001:db8:${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}::/64`;
    return { kind: "ban", id: index + 1, net, untilMs: null, ports: null, level: null };
  });
  log.append({ from: 0, orders });
  return new ScopeFrames(scope, log);
}

/** The agent's order code, what it says, and a clock that moves when it is told to. */
function openReceiver() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const said: { verb: string; text: string }[] = [];
  const line = { isConnected: true };
  const receiver = new OrderReceiver({
    ...{ host: "h1", tenant: "t1", orderKey: keys.publicKey, store: new MemoryOrderStore() },
    send(verb, payload) {
      if (line.isConnected) said.push({ verb, text: new TextDecoder().decode(payload) });
      return line.isConnected;
    },
    onOrders: () => undefined,
    refuse: () => undefined,
    status: () => ({ version: "0", firewall: "observe", enforcing: false, problems: [] }),
    ...{ now: () => 1_000, random: () => 0.5, log: quietLog },
  });
  const questions = () => said.flatMap(({ verb, text }) => (verb === "sync" ? [JSON.parse(text) as SyncRequest] : []));
  const reports = () => said.filter(({ verb }) => verb === "status").length;
  return {
    ...{ receiver, line, questions, reports },
    [Symbol.dispose]() {
      receiver[Symbol.dispose]();
      mock.timers.reset();
    },
  };
}

test("a snapshot goes on where the line was cut, from then on part by part", () => {
  using each = openReceiver();
  const parts = framesOf("fleet", frameOrdersMax * 2 + 1).parts(context, 0, 8);
  const take = (index: number) => each.receiver.receive(parts[index] ?? Buffer.alloc(0));
  each.receiver.connected();
  mock.timers.tick(0);
  assert.equal(each.questions()[0]?.parts, 8);
  take(0);
  each.receiver.connected();
  mock.timers.tick(0);
  const again = each.questions().at(-1);
  assert.deepEqual([again?.parts, again?.positions[0]?.chunk?.index], [1, 1]);
  take(1);
  take(2);
  assert.equal(each.receiver.positions()[0]?.revision, frameOrdersMax * 2 + 1);
  each.receiver.connected();
  mock.timers.tick(0);
  assert.equal(each.questions().at(-1)?.parts, 8);
});

test("whoever comes back asks at once, and does not repeat a report of a moment ago", () => {
  using each = openReceiver();
  each.receiver.connected();
  mock.timers.tick(0);
  assert.deepEqual([each.questions().length, each.reports()], [1, 0]);
  mock.timers.tick(10_000);
  assert.equal(each.reports(), 1);
  const asked = each.questions().length;
  each.receiver.connected();
  mock.timers.tick(0);
  assert.equal(each.questions().length, asked + 1);
  mock.timers.tick(10_000);
  assert.equal(each.reports(), 1);
  // It is its turn while the line is cut: said as soon as there is one again.
  each.line.isConnected = false;
  mock.timers.tick(60_000);
  each.line.isConnected = true;
  each.receiver.connected();
  mock.timers.tick(10_000);
  assert.equal(each.reports(), 2);
  // A coordinator that has just started knows nothing of it.
  each.receiver.hello(framesOf("fleet", 0).heartbeat(context));
  mock.timers.tick(10_000);
  assert.equal(each.reports(), 3);
});

test("an unsigned word makes it sure of what it has, and of nothing else", () => {
  using each = openReceiver();
  const confirm = (...positions: { scope: Scope; epoch: number; revision: number }[]) =>
    each.receiver.confirm(encodeMessage({ v: 1, positions }));
  const frames = framesOf("fleet", 1);
  for (const scope of ["tenant:t1", "host:h1"] as const) {
    for (const part of framesOf(scope, 0).parts(context, 0, 8)) each.receiver.receive(part);
  }
  for (const part of frames.parts(context, 0, 8)) each.receiver.receive(part);
  assert.equal(each.receiver.inSync(), true);
  each.receiver.connected();
  assert.equal(each.receiver.inSync(), false);
  const before = each.receiver.positions();
  confirm({ scope: "fleet", epoch: 1, revision: 2 }, { scope: "fleet", epoch: 2, revision: 1 });
  confirm({ scope: "tenant:t2", epoch: 1, revision: 0 });
  assert.deepEqual([each.receiver.inSync(), each.receiver.positions()], [false, before]);
  confirm(...before.map(({ scope, epoch, revision }) => ({ scope, epoch, revision })));
  assert.deepEqual([each.receiver.inSync(), each.receiver.positions()], [true, before]);
  mock.timers.tick(60_000);
  assert.deepEqual(each.questions(), []);
});

test("however few hear a host's own orders, it comes back to the bus as one of the whole fleet", () => {
  using each = openReceiver();
  each.receiver.receive(framesOf("fleet", 0).heartbeat(context));
  each.receiver.receive(framesOf("host:h1", 0).heartbeat({ ...context, spreadMs: 1 }));
  assert.equal(each.receiver.spreadMs, 10_000);
});
