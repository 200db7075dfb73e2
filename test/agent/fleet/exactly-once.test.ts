import assert from "node:assert/strict";
import { test } from "node:test";
import { openBus } from "../../../server/bus/bus.ts";
import { decodeFailureBatch } from "../../../shared/failure-batch.ts";
import { encodeMessage } from "../../../shared/fleet-messages.ts";
import { subjects } from "../../../shared/subjects.ts";
import { FleetAgent } from "../../support/fleet-agent.ts";
import { connectAgent, startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";

/** The database: what survives every crash of the coordinator. */
type Committed = Readonly<{ counts: Map<string, number>; cursors: Map<string, number> }>;

/** A coordinator reduced to its promise: commit, then acknowledge. It may die anywhere. */
class Coordinator {
  #stopping = false;
  #working: Promise<void> | undefined;
  readonly #nats: TestNats;
  readonly #committed: Committed;
  /** Of every so many batches the agent does not hear that they are committed. */
  readonly #unheardEvery: number;
  batches = 0;

  constructor(nats: TestNats, committed: Committed, unheardEvery: number) {
    this.#nats = nats;
    this.#committed = committed;
    this.#unheardEvery = unheardEvery;
  }

  start(): void {
    this.#stopping = false;
    this.#working = this.#work();
  }

  async kill(): Promise<void> {
    this.#stopping = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    await using bus = await openBus(this.#nats.address, this.#nats.keys, testLog);
    const { counts, cursors } = this.#committed;
    while (!this.#stopping) {
      for (const raw of await bus.pullFailures(50, 200)) {
        const { epoch, sequence, failures } = decodeFailureBatch(raw.payload);
        const cursor = `${raw.host} ${epoch}`;
        if (sequence > (cursors.get(cursor) ?? 0)) {
          cursors.set(cursor, sequence);
          for (const { address, count } of failures) {
            const key = `${raw.host} ${address}`;
            counts.set(key, (counts.get(key) ?? 0) + count);
          }
        }
        this.batches += 1;
        await bus.acknowledge([raw]);
        if (this.batches % this.#unheardEvery === 0) continue;
        bus.publish(subjects.down(raw.host, "ack"), encodeMessage({ epoch, sequence }));
      }
    }
  }
}

/** A log that is read from its saved position, as an agent reads one: line n is a failure of address n. */
class Log {
  readonly #agent: FleetAgent;
  #next: number;

  constructor(agent: FleetAgent) {
    this.#agent = agent;
    this.#next = Number(agent.disk.position("log") ?? 0);
  }

  readTo(line: number): void {
    while (this.#next < line) {
      const line = this.#next;
      const failure = { atMs: line * 1_000, address: `2001:db8::${line.toString(16)}`, jail: "sshd", count: 1 };
      this.#next += 1;
      this.#agent.fleet.add({ failures: [failure], localBans: [], positions: new Map([["log", this.#next]]) });
    }
  }
}

test("every failure counts exactly once, whoever is killed and whatever is repeated", async () => {
  await using nats = await startTestNats();
  const committed: Committed = { counts: new Map(), cursors: new Map() };
  const coordinator = new Coordinator(nats, committed, 3);
  coordinator.start();
  await using one = new FleetAgent(nats, "one");
  await using two = new FleetAgent(nats, "two");
  const agents = [one, two];
  const logs = [new Log(one), new Log(two)];
  const linesMax = 600;
  const committedOf = (agent: FleetAgent) =>
    [...committed.counts.keys()].filter((key) => key.startsWith(`${agent.host} `)).length;

  for (const log of logs) log.readTo(100);
  await until(() => agents.every((agent) => committedOf(agent) > 0), "the first failures are committed");

  for (const log of logs) log.readTo(200);
  const pid = nats.server.pid() ?? 0;
  process.kill(pid, "SIGKILL");
  for (const log of logs) log.readTo(300);
  await until(async () => nats.server.pid() !== pid && (await nats.server.healthy()), "nats-server is back");

  await coordinator.kill();
  for (const log of logs) log.readTo(400);
  await one.crash();
  coordinator.start();

  logs[0] = new Log(one);
  for (const log of logs) log.readTo(500);
  await until(() => committedOf(two) > 300, "failures flow again");
  await two.crash();
  logs[1] = new Log(two);
  for (const log of logs) log.readTo(linesMax);

  const done = ({ fleet, disk }: FleetAgent) => {
    const { inFlight, waitingRows } = fleet.state();
    return !inFlight && waitingRows === 0 && disk.position("log") === linesMax;
  };
  await until(() => agents.every(done), "everything is acknowledged", 60_000);
  await coordinator.kill();
  for (const agent of agents) assert.equal(committedOf(agent), linesMax, agent.host);
  assert.deepEqual(
    [...committed.counts].filter(([, count]) => count !== 1),
    [],
  );
});

test("a log's position moves together with its failures, and what was sent is sent as the same bytes again", async () => {
  await using nats = await startTestNats();
  await using agent = new FleetAgent(nats, "alone");
  new Log(agent).readTo(10);
  await until(() => agent.fleet.state().connected && agent.fleet.state().inFlight, "a batch is in flight");
  const batch = agent.disk.open().inFlight();
  assert.equal(decodeFailureBatch(batch?.payload ?? "").failures.length, agent.disk.position("log"));
  await agent.crash();
  await until(() => agent.fleet.state().connected, "connected again");
  // The very same bytes, not the same failures in a new batch.
  assert.deepEqual(agent.disk.open().inFlight(), batch);
});

test("another agent cannot acknowledge a batch", async () => {
  await using nats = await startTestNats();
  await using agent = new FleetAgent(nats, "victim");
  await using mallory = await connectAgent(nats, "mallory", "t1");
  new Log(agent).readTo(1);
  await until(() => agent.fleet.state().connected && agent.fleet.state().inFlight, "a batch is in flight");
  const ack = encodeMessage({ epoch: agent.disk.open().epoch(), sequence: 1 });
  mallory.connection.publish(subjects.down("victim", "ack"), ack);
  await until(() => mallory.errors.length > 0, "refused");
  assert.equal(agent.fleet.state().inFlight, true);
});
