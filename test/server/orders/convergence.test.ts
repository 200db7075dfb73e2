import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { type Bus, openBus } from "../../../server/bus/bus.ts";
import { type Publisher, startPublisher } from "../../../server/orders/publisher.ts";
import { decodeMessage, StatusReport } from "../../../shared/fleet-messages.ts";
import type { Order, Scope } from "../../../shared/order.ts";
import { encodeOrderFrame } from "../../../shared/order-frame.ts";
import { subjects } from "../../../shared/subjects.ts";
import { FleetAgent } from "../../support/fleet-agent.ts";
import { MemoryOrderLog } from "../../support/memory-order-log.ts";
import { connectAgent, startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";

const ban = (id: number): Order => ({
  kind: "ban",
  id,
  net: `2001:db8:${id.toString(16)}::/64`,
  untilMs: Date.now() + 3_600_000,
  ports: null,
  level: 0,
});
const unban = (id: number): Order => ({ kind: "unban", id, net: `2001:db8:${id.toString(16)}::/64`, reason: "admin" });

type Coordinator = AsyncDisposable & Readonly<{ bus: Bus; publisher: Publisher; reports: Map<string, StatusReport> }>;

/** A coordinator reduced to its orders. `tenants` says whose the hosts are. */
async function startCoordinator(
  nats: TestNats,
  orderLog: MemoryOrderLog,
  tenants: ReadonlyMap<string, string>,
  observers: ReadonlySet<string> = new Set(),
): Promise<Coordinator> {
  const bus = await openBus(nats.address, nats.keys, testLog);
  const publisher = await startPublisher({
    bus,
    orderLog,
    canary: null,
    signingKey: nats.keys.orders,
    agentsOf: () => tenants.size,
    tenantOf: (host) => tenants.get(host),
    observes: (host) => observers.has(host),
    now: Date.now,
    log: testLog,
  });
  const reports = new Map<string, StatusReport>();
  bus.onUp("status", (host, payload) => {
    const report = decodeMessage(StatusReport, payload, host);
    reports.set(host, report);
    publisher.noticeStatus(host, report);
  });
  return {
    bus,
    publisher,
    reports,
    async [Symbol.asyncDispose]() {
      await publisher[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
    },
  };
}

const enforcedNets = (agent: FleetAgent, scope: Scope): string[] =>
  [...(agent.enforced.get(scope)?.values() ?? [])].map((order) => order.net).toSorted();

function follows(agent: FleetAgent, orderLog: MemoryOrderLog, scope: Scope): boolean {
  const position = agent.fleet.state().positions.find((each) => each.scope === scope);
  return agent.fleet.state().inSync && position?.hash === orderLog.hash(scope);
}

test("orders reach the hosts of their scope, and only those", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  const tenants = new Map([
    ["a1", "ta"],
    ["a2", "ta"],
    ["b1", "tb"],
  ]);
  await using coordinator = await startCoordinator(nats, orderLog, tenants);
  await using a1 = new FleetAgent(nats, "a1", "ta");
  await using a2 = new FleetAgent(nats, "a2", "ta");
  await using b1 = new FleetAgent(nats, "b1", "tb");
  const agents = [a1, a2, b1];
  await until(() => agents.every((agent) => agent.fleet.state().inSync), "all follow");
  for (const [index, scope] of (["fleet", "tenant:ta", "host:a2"] as const).entries()) {
    coordinator.publisher.publish(scope, orderLog.append(scope, [ban(index + 1)]));
  }
  await until(
    () => enforcedNets(b1, "fleet").length === 1 && enforcedNets(a2, "host:a2").length === 1,
    "orders arrive",
  );
  await until(() => enforcedNets(a1, "tenant:ta").length === 1, "the tenant's too");
  assert.deepEqual(
    agents.map((agent) => [...agent.enforced.keys()].toSorted()),
    [["fleet", "tenant:ta"], ["fleet", "host:a2", "tenant:ta"], ["fleet"]],
  );
  await until(
    () =>
      agents.every(({ host }) =>
        coordinator.reports.get(host)?.scopes.some((each) => each.scope === "fleet" && each.revision === 1),
      ),
    "every host reports what it has carried out",
  );
});

test("a host cannot ask for another tenant's or another host's orders", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  orderLog.append("tenant:ta", [ban(1)]);
  orderLog.append("host:a1", [ban(2)]);
  await using coordinator = await startCoordinator(nats, orderLog, new Map([["b1", "tb"]]));
  await coordinator.bus.flush();
  await using b1 = await connectAgent(nats, "b1", "tb");
  const answers: string[] = [];
  b1.connection.subscribe("f2b.v1.down.b1.sync", { callback: (_, message) => void answers.push(message.subject) });
  const ask = (scope: string) =>
    b1.connection.publish("f2b.v1.up.b1.sync", JSON.stringify({ v: 1, positions: [{ scope, epoch: 0, revision: 0 }] }));
  ask("tenant:ta");
  await b1.connection.flush();
  ask("host:a1");
  await b1.connection.flush();
  // Answered in order: when the last is here, the others would be.
  await until(() => {
    if (answers.length === 0) ask("fleet");
    return answers.length > 0;
  }, "its own question is answered");
  assert.deepEqual(orderLog.asked.activeSet, 0);
});

test("whoever says what its set amounts to hears in one word that nothing is missing; an agent of before gets frames", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  orderLog.append("fleet", [ban(1)]);
  await using coordinator = await startCoordinator(nats, orderLog, new Map([["h1", "t1"]]), new Set(["h1"]));
  await coordinator.bus.flush();
  await using h1 = await connectAgent(nats, "h1", "t1");
  const heard: { verb: string; text: string }[] = [];
  h1.connection.subscribe("f2b.v1.down.h1.>", {
    callback: (_, { subject, data }) => {
      const verb = subject.split(".").at(-1) ?? "";
      heard.push({ verb, text: verb === "current" ? new TextDecoder().decode(data) : "" });
    },
  });
  const fleet = { scope: "fleet", epoch: 1, revision: 1 };
  const own = { scope: "host:h1", epoch: 1, revision: 0 };
  const [fleetHash, nothingHash] = [orderLog.hash("fleet"), orderLog.hash("host:h1")];
  const answersTo = async (question: object, count: number) => {
    heard.length = 0;
    h1.connection.publish("f2b.v1.up.h1.sync", JSON.stringify({ v: 1, ...question }));
    await until(() => heard.length === count, "the answers");
    return heard.map(({ verb }) => verb).toSorted();
  };
  const known = [
    { ...fleet, hash: fleetHash },
    { ...own, hash: nothingHash },
  ];
  assert.deepEqual(await answersTo({ positions: known, observing: true }, 1), ["current"]);
  assert.deepEqual(JSON.parse(heard[0]?.text ?? ""), { v: 1, positions: [fleet, own] });
  // It does not know yet that it is to observe.
  assert.deepEqual(await answersTo({ positions: known }, 2), ["current", "sync"]);
  assert.deepEqual(await answersTo({ positions: [{ ...fleet, hash: nothingHash }] }, 1), ["sync"]);
  assert.deepEqual(await answersTo({ positions: [{ ...fleet, hash: fleetHash, damaged: true }] }, 1), ["sync"]);
  assert.deepEqual(await answersTo({ positions: [fleet, own] }, 2), ["sync", "sync"]);
});

test("hosts end with the coordinator's set through disconnects, restarts, a killed bus and a new epoch", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  const hosts = Array.from({ length: 6 }, (_, index) => `h${index}`);
  const tenants = new Map(hosts.map((host) => [host, "t1"]));
  await using stack = new AsyncDisposableStack();
  const agents = hosts.map((host) => stack.use(new FleetAgent(nats, host, "t1")));
  let coordinator = await startCoordinator(nats, orderLog, tenants);
  stack.defer(() => coordinator[Symbol.asyncDispose]());
  let next = 1;
  const publish = (count: number) => {
    for (let done = 0; done < count; done += 1) {
      const orders = next % 3 === 0 ? [unban(Math.ceil(next / 2))] : [ban(next)];
      next += 1;
      coordinator.publisher.publish("fleet", orderLog.append("fleet", orders));
    }
  };
  const allFollow = () => agents.every((agent) => follows(agent, orderLog, "fleet"));

  publish(50);
  await until(allFollow, "everybody follows");

  const pid = nats.server.pid() ?? 0;
  process.kill(pid, "SIGKILL");
  publish(50);
  await agents[0]?.crash();
  await until(async () => nats.server.pid() !== pid && (await nats.server.healthy()), "the bus is back");
  publish(10);
  await until(allFollow, "everybody follows after the bus was killed", 60_000);

  await coordinator[Symbol.asyncDispose]();
  // Committed, and never published: the coordinator died in between.
  orderLog.append("fleet", [ban(10_001)]);
  await agents[1]?.crash();
  coordinator = await startCoordinator(nats, orderLog, tenants);
  await until(allFollow, "everybody follows a restarted coordinator", 60_000);

  await coordinator[Symbol.asyncDispose]();
  orderLog.epoch += 1;
  coordinator = await startCoordinator(nats, orderLog, tenants);
  publish(5);
  await until(allFollow, "everybody follows the new epoch", 60_000);

  for (const agent of agents) {
    assert.deepEqual(enforcedNets(agent, "fleet"), enforcedNets(agents[2] ?? agent, "fleet"), agent.host);
    assert.equal(agent.orderStore.hash("fleet"), orderLog.hash("fleet"), `${agent.host}: its disk`);
  }
});

test("frames somebody else signed are refused, whoever publishes them", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  await using coordinator = await startCoordinator(nats, orderLog, new Map([["h1", "t1"]]));
  await using agent = new FleetAgent(nats, "h1", "t1");
  await until(() => agent.fleet.state().inSync, "it follows");
  const forged = encodeOrderFrame(
    {
      kind: "delta",
      scope: "fleet",
      epoch: 1,
      from: 0,
      to: 1,
      hash: null,
      orders: [ban(1)],
      atMs: 1,
      spreadMs: 0,
      chunk: null,
    },
    generateKeyPairSync("ed25519").privateKey,
  );
  // Even with the coordinator's own credentials on the bus.
  coordinator.bus.publish(subjects.fleetOrders, forged);
  coordinator.bus.publish(subjects.hello, forged);
  coordinator.bus.publish(subjects.down("h1", "sync"), new Uint8Array(500));
  await until(() => agent.fleet.state().badFrames === 3, "all three were seen");
  assert.deepEqual(enforcedNets(agent, "fleet"), []);
});

test("a ban the host will not carry out is reported, counts as received, and stops being reported when it is lifted", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  await using coordinator = await startCoordinator(nats, orderLog, new Map([["h1", "t1"]]));
  await using agent = new FleetAgent(nats, "h1", "t1", (order) => (order.id === 1 ? "never-listed" : undefined));
  await until(() => agent.fleet.state().inSync, "it follows");
  coordinator.publisher.publish("fleet", orderLog.append("fleet", [ban(1), ban(2)]));
  await until(() => coordinator.reports.get("h1")?.refused.length === 1, "the refusal is reported");
  assert.deepEqual(coordinator.reports.get("h1")?.refused, [
    { scope: "fleet", id: 1, net: "2001:db8:1::/64", why: "never-listed" },
  ]);
  assert.deepEqual(enforcedNets(agent, "fleet"), ["2001:db8:2::/64"]);
  assert.equal(follows(agent, orderLog, "fleet"), true);
  coordinator.publisher.publish("fleet", orderLog.append("fleet", [unban(1)]));
  await until(() => coordinator.reports.get("h1")?.refused.length === 0, "no longer reported");
});

test("a ban that was refused for a protected address is carried out when the address is not protected any more", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  await using coordinator = await startCoordinator(nats, orderLog, new Map([["h1", "t1"]]));
  let session = true;
  await using agent = new FleetAgent(nats, "h1", "t1", ({ id }) =>
    id === 1 && session ? "holds a session" : undefined,
  );
  await until(() => agent.fleet.state().inSync, "it follows");
  coordinator.publisher.publish("fleet", orderLog.append("fleet", [ban(1)]));
  await until(() => coordinator.reports.get("h1")?.refused.length === 1, "the refusal is reported");
  assert.deepEqual(enforcedNets(agent, "fleet"), []);
  session = false;
  // What follows any order: the next report.
  coordinator.publisher.publish("fleet", orderLog.append("fleet", [ban(2)]));
  await until(() => coordinator.reports.get("h1")?.refused.length === 0, "no longer reported");
  assert.deepEqual(enforcedNets(agent, "fleet"), ["2001:db8:1::/64", "2001:db8:2::/64"]);
});

test("a host that is told to observe keeps its orders, enforces no ban, keeps its exceptions, and comes back whole", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  const observers = new Set<string>();
  const allow: Order = { kind: "allow", id: 9, net: "2001:db8:9::/64", untilMs: null };
  orderLog.append("fleet", [ban(1), allow]);
  orderLog.append("host:h1", [ban(2)]);
  const tenants = new Map(["h1", "h2"].map((host) => [host, "t1"]));
  let coordinator = await startCoordinator(nats, orderLog, tenants, observers);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => coordinator[Symbol.asyncDispose]());
  await using told = new FleetAgent(nats, "h1", "t1");
  await using other = new FleetAgent(nats, "h2", "t1");
  const bansOf = (agent: FleetAgent): number =>
    [...agent.enforced.values()].flatMap((orders) => [...orders.values()]).filter(({ kind }) => kind === "ban").length;
  await until(() => [told, other].every((agent) => agent.fleet.state().inSync), "both follow");
  assert.deepEqual([told, other].map(bansOf), [2, 1]);

  observers.add("h1");
  coordinator.publisher.tell("h1");
  await until(() => coordinator.reports.get("h1")?.observing === true, "it says that it observes");
  coordinator.publisher.publish("fleet", orderLog.append("fleet", [ban(3)]));
  await until(() => bansOf(other) === 2 && follows(told, orderLog, "fleet"), "the next ban");
  assert.equal(bansOf(told), 0);
  assert.equal(told.enforced.get("fleet")?.has("allow 9"), true);
  assert.equal(told.fleet.canary(), undefined);

  await coordinator[Symbol.asyncDispose]();
  await told.crash();
  assert.equal(told.fleet.state().observes, true);
  assert.equal(bansOf(told), 0);

  // Changed while the host was away from it: whoever asks is told.
  observers.delete("h1");
  coordinator = await startCoordinator(nats, orderLog, tenants, observers);
  await until(() => bansOf(told) === 3, "all its bans come into force again", 60_000);
  await until(() => coordinator.reports.get("h1")?.observing === false, "and it says so");
});

test("hosts without orders of their own cost the database nothing", async () => {
  await using nats = await startTestNats();
  const orderLog = new MemoryOrderLog();
  await using coordinator = await startCoordinator(nats, orderLog, new Map([["h1", "t1"]]));
  await using agent = new FleetAgent(nats, "h1", "t1");
  await until(() => agent.fleet.state().inSync, "it follows");
  await coordinator.bus.flush();
  assert.deepEqual(orderLog.asked, { activeSet: 0, ordersSince: 0 });
});
