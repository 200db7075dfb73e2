import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { headers } from "@nats-io/transport-node";
import { type Bus, openBus } from "../../../server/bus/bus.ts";
import type { Presence } from "../../../server/bus/presence.ts";
import { openSystem, type System } from "../../../server/bus/system.ts";
import { startPublisher } from "../../../server/orders/publisher.ts";
import type { Order } from "../../../shared/order.ts";
import { subjects } from "../../../shared/subjects.ts";
import { FleetAgent } from "../../support/fleet-agent.ts";
import { MemoryOrderLog } from "../../support/memory-order-log.ts";
import { connectAgent, startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";
import { connectRaw, rawAgent } from "../../support/raw-nats.ts";

/** What somebody who is root on one host can do with its credentials and a client of his own. */
let nats: TestNats;
let bus: Bus;
let system: System;
const presences: Presence[] = [];

before(async () => {
  nats = await startTestNats();
  bus = await openBus(nats.address, nats.keys, testLog);
  system = await openSystem(nats.address, nats.keys, nats.account, testLog);
  system.onPresence((presence) => presences.push(presence));
  await system.push();
  await using probe = await connectAgent(nats, "probe");
  await until(async () => {
    probe.connection.publish(subjects.failures(0, "probe"), "x");
    const batches = await bus.pullFailures(10, 300);
    await bus.acknowledge(batches);
    return batches.length > 0;
  }, "the stream stands");
});
after(async () => {
  await system?.[Symbol.asyncDispose]();
  await bus?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

const randomBans = (count: number) =>
  Array.from({ length: count }, (_, index): Order => {
    const net = Array.from(randomBytes(16).toString("hex").matchAll(/..../g), String).join(":");
    return { kind: "ban", id: index + 1, net: `${net}/128`, untilMs: null, ports: null, level: null };
  });

/** Why the server ended this key's connection; undefined while it has not. */
const endOf = (publicKey: string) => presences.find((each) => each.publicKey === publicKey && !each.connected)?.reason;

test("message ids of one host silence nobody else's failures", async () => {
  await using mallory = await connectAgent(nats, "mallory");
  await using honest = await connectAgent(nats, "honest");
  const ids = headers();
  // What an agent's message would be called, if it had a name.
  ids.set("Nats-Msg-Id", "life1 1");
  mallory.connection.publish(subjects.failures(0, "mallory"), "first", { headers: ids });
  await mallory.connection.flush();
  honest.connection.publish(subjects.failures(0, "honest"), "second");
  const arrived: string[] = [];
  await until(async () => {
    const batches = await bus.pullFailures(10, 200);
    arrived.push(...batches.map(({ host }) => host));
    await bus.acknowledge(batches);
    return arrived.includes("honest");
  }, "the honest host's failures");
});

test("headers that would rewrite the stream are refused", async () => {
  await using mallory = await connectAgent(nats, "mallory-2");
  const rollup = headers();
  rollup.set("Nats-Rollup", "all");
  await using honest = await connectAgent(nats, "honest-2");
  honest.connection.publish(subjects.failures(0, "honest-2"), "kept");
  await honest.connection.flush();
  mallory.connection.publish(subjects.failures(0, "mallory-2"), "x", { headers: rollup });
  await mallory.connection.flush();
  const arrived: string[] = [];
  await until(async () => {
    const batches = await bus.pullFailures(10, 200);
    arrived.push(...batches.map(({ host }) => host));
    await bus.acknowledge(batches);
    return arrived.includes("honest-2");
  }, "what was in the stream");
});

for (const [name, bytes] of [
  ["64 KiB and one byte", 64 * 1024 + 1],
  ["1 MiB", 1024 * 1024],
] as const) {
  test(`a message of ${name} costs its sender the connection, is handed to nobody, and the reason is told`, async () => {
    const fat = rawAgent(nats, `fat-${bytes}`);
    await using honest = await connectAgent(nats, `lean-${bytes}`);
    const socket = await connectRaw(fat);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    socket.write(`PUB ${subjects.failures(0, `fat-${bytes}`)} ${bytes}\r\n`);
    socket.write(Buffer.alloc(bytes));
    socket.write("\r\n");
    await closed;
    await until(() => endOf(fat.publicKey) !== undefined, "the server to say why");
    assert.match(endOf(fat.publicKey) ?? "", /payload/i);
    honest.connection.publish(subjects.failures(0, honest.host), "x");
    const arrived: string[] = [];
    await until(async () => {
      const batches = await bus.pullFailures(10, 200);
      arrived.push(...batches.map(({ host }) => host));
      await bus.acknowledge(batches);
      return arrived.includes(honest.host);
    }, "the next host's message");
    assert.equal(arrived.includes(`fat-${bytes}`), false);
  });
}

test("fifty hosts that stop reading are cut off, cost little memory, and others hear every word", async () => {
  const stopped = Array.from({ length: 50 }, (_, index) => rawAgent(nats, `stopped-${index}`));
  const sockets = await Promise.all(stopped.map(connectRaw));
  for (const socket of sockets) {
    socket.pause();
    socket.write(`SUB ${subjects.fleetOrders} 1\r\nPING\r\n`);
  }
  await using healthy = await connectAgent(nats, "healthy");
  let heard = 0;
  healthy.connection.subscribe(subjects.fleetOrders, {
    callback: () => {
      heard += 1;
    },
  });
  await healthy.connection.flush();
  const frame = randomBytes(128 * 1024);
  const frames = 96;
  for (let sent = 1; sent <= frames; sent += 1) {
    bus.publish(subjects.fleetOrders, frame);
    // nats-server 2.9 holds back whoever writes to a full reader, until its write deadline of a second ends that one.
    await until(() => heard >= sent - 8, "the healthy one keeps up");
  }
  await until(() => heard === frames, "the healthy one hears all");
  await until(() => stopped.every(({ publicKey }) => endOf(publicKey) !== undefined), "the others are cut off", 60_000);
  assert.match(endOf(stopped[0]?.publicKey ?? "") ?? "", /slow consumer/i);
  const rssMb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${nats.server.pid()}/status`, "utf8"))?.[1]) / 1024;
  // 50 times 12 MiB would be 600.
  assert.ok(rssMb < 400, `nats-server holds ${rssMb} MB`);
  for (const socket of sockets) socket.destroy();
});

test("a host that stops reading is cut off within a second or two, and holds others' orders back no longer", async () => {
  const orderLog = new MemoryOrderLog();
  orderLog.append("fleet", randomBans(8_000));
  await using publisher = await startPublisher({
    ...{ bus, orderLog, signingKey: nats.keys.orders, canary: null, log: testLog, now: Date.now },
    agentsOf: () => 2,
    tenantOf: () => "t1",
    observes: () => false,
  });
  const deaf = rawAgent(nats, "deaf");
  const socket = await connectRaw(deaf);
  socket.pause();
  socket.write(`SUB ${subjects.fleetOrders} 1\r\nSUB ${subjects.downOf("deaf")} 2\r\nPING\r\n`);
  await using healthy = await connectAgent(nats, "hearing");
  const delaysMs: number[] = [];
  healthy.connection.subscribe(subjects.tenantOrders("default"), {
    callback: (_, message) => void delaysMs.push(performance.now() - Number(message.string())),
  });
  await healthy.connection.flush();
  // All that one host may have at once, and then whatever comes for everybody.
  const ask = JSON.stringify({ v: 1, parts: 8, positions: [{ scope: "fleet", epoch: 0, revision: 0 }] });
  const question = `PUB ${subjects.up("deaf", "sync")} ${ask.length}\r\n${ask}\r\n`;
  const everybody = randomBytes(1024);
  let sent = 0;
  await until(() => {
    if (publisher.limited() === 0) socket.write(question.repeat(10));
    bus.publish(subjects.fleetOrders, everybody);
    bus.publish(subjects.tenantOrders("default"), Buffer.from(String(performance.now())));
    sent += 1;
    return endOf(deaf.publicKey) !== undefined;
  }, "it is cut off");
  await until(() => delaysMs.length === sent, "the other has heard all");
  assert.match(endOf(deaf.publicKey) ?? "", /slow consumer/i);
  // The write deadline is a second; the other one is for a machine that is busy.
  assert.ok(Math.max(...delaysMs) < 2_000, `somebody waited ${Math.max(...delaysMs)} ms`);
  socket.destroy();
});

test("a host that asks for snapshots in a loop is turned away after 16 MiB, and its neighbour is loaded meanwhile", async () => {
  const orderLog = new MemoryOrderLog();
  orderLog.append("fleet", randomBans(8_000));
  const tenants = new Map([
    ["greedy", "t1"],
    ["modest", "t1"],
  ]);
  const publisher = await startPublisher({
    ...{ bus, orderLog, signingKey: nats.keys.orders, canary: null, log: testLog, now: Date.now },
    agentsOf: () => 2,
    tenantOf: (host) => tenants.get(host),
    observes: () => false,
  });
  await using _publisher = publisher;
  await bus.flush();
  await using greedy = await connectAgent(nats, "greedy", "t1");
  let bytes = 0;
  greedy.connection.subscribe(subjects.down("greedy", "sync"), {
    callback: (_, message) => {
      bytes += message.data.length;
    },
  });
  const ask = JSON.stringify({ v: 1, parts: 8, positions: [{ scope: "fleet", epoch: 0, revision: 0 }] });
  const modest = new FleetAgent(nats, "modest", "t1");
  await using _modest = modest;
  await until(async () => {
    for (let count = 0; count < 20; count += 1) greedy.connection.publish(subjects.up("greedy", "sync"), ask);
    await greedy.connection.flush();
    return publisher.limited() > 0;
  }, "it is turned away");
  await until(() => modest.fleet.state().inSync, "its neighbour is loaded");
  await greedy.connection.flush();
  // What refills while we ask is a mebibyte in 16 seconds.
  assert.ok(bytes <= 18 * 1024 * 1024, `${bytes} bytes for the greedy`);
  assert.equal(modest.orderStore.hash("fleet"), orderLog.hash("fleet"));
});

test("an old ban, published again after its lift by whoever runs the bus, stays lifted", async () => {
  const orderLog = new MemoryOrderLog();
  const publisher = await startPublisher({
    ...{ bus, orderLog, signingKey: nats.keys.orders, canary: null, log: testLog, now: Date.now },
    agentsOf: () => 1,
    tenantOf: () => "t1",
    observes: () => false,
  });
  await using _publisher = publisher;
  const agent = new FleetAgent(nats, "replayed", "t1");
  await using _agent = agent;
  await using spy = await connectAgent(nats, "spy", "t1");
  const captured: Uint8Array[] = [];
  spy.connection.subscribe(subjects.fleetOrders, { callback: (_, message) => void captured.push(message.data) });
  await spy.connection.flush();
  await until(() => agent.fleet.state().inSync, "it follows");
  const net = "203.0.113.7/32";
  publisher.publish(
    "fleet",
    orderLog.append("fleet", [{ kind: "ban", id: 1, net, untilMs: null, ports: null, level: null }]),
  );
  await until(() => agent.enforced.get("fleet")?.size === 1, "the ban");
  publisher.publish("fleet", orderLog.append("fleet", [{ kind: "unban", id: 1, net, reason: "admin" }]));
  await until(() => agent.enforced.get("fleet")?.size === 0 && captured.length >= 2, "the lift");
  const bans = captured.slice(0, captured.length - 1);
  for (let round = 0; round < 5; round += 1) for (const frame of bans) bus.publish(subjects.fleetOrders, frame);
  publisher.publish(
    "fleet",
    orderLog.append("fleet", [{ kind: "ban", id: 2, net: "203.0.113.8/32", untilMs: null, ports: null, level: null }]),
  );
  await until(() => agent.enforced.get("fleet")?.has("ban 2") === true, "an order after the replays");
  assert.deepEqual([...(agent.enforced.get("fleet")?.keys() ?? [])], ["ban 2"]);
  assert.equal(agent.fleet.state().inSync, true);
});
