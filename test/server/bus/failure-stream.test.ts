import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { pino } from "pino";
import { openBus } from "../../../server/bus/bus.ts";
import { connectAs } from "../../../server/bus/connect.ts";
import { coordinatorJwt } from "../../../server/bus/jwt.ts";
import { coordinatorInbox, failureStream } from "../../../server/bus/permissions.ts";
import { partitionCount } from "../../../server/domain/partition.ts";
import { subjects } from "../../../shared/subjects.ts";
import { connectAgent, startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";

/** A batch of `h1`, over a connection of its own. */
async function send(nats: TestNats, what: string): Promise<void> {
  await using agent = await connectAgent(nats, "h1");
  agent.connection.publish(subjects.failures(0, "h1"), what);
  await agent.connection.flush();
}

/** Far sooner than missed heartbeats would help. */
const withinMs = 10_000;
const smallOnes = 400;
const rounds = smallOnes + 50;

test("after many small messages a large one comes as soon as any", async () => {
  await using nats = await startTestNats();
  await using bus = await openBus(nats.address, nats.keys, testLog);
  // A user's name stands for its host in every permission, so this one may speak for all hosts.
  await using agent = await connectAgent(nats, "*");
  await until(async () => {
    agent.connection.publish("f2b.v1.fail.0.first", "the stream stands");
    const batches = await bus.pullFailures(10, 200);
    await bus.acknowledge(batches);
    return batches.length > 0;
  }, "the failure stream works");

  for (let round = 0; round < rounds; round += 1) {
    // A line or two for a long time, then full batches as after an outage. Each is taken before the next one comes.
    const bytes = round < smallOnes ? 300 : 60_000;
    agent.connection.publish(`f2b.v1.fail.0.h${round}`, Buffer.alloc(bytes));
    await until(
      async () => {
        const batches = await bus.pullFailures(50, 200);
        await bus.acknowledge(batches);
        return batches.some((batch) => batch.host === `h${round}` && batch.payload.length === bytes);
      },
      `message ${round} of ${rounds}`,
      withinMs,
    );
  }
});

test("a bus that begins reads every partition at its first try", async () => {
  await using nats = await startTestNats();
  const warnings: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => void warnings.push(line) });
  await using bus = await openBus(nats.address, nats.keys, log);
  await using agent = await connectAgent(nats, "*");
  for (let partition = 0; partition < partitionCount; partition += 1) {
    await until(async () => {
      agent.connection.publish(subjects.failures(partition, "h1"), "a batch");
      const batches = await bus.pullFailures(10, 200);
      await bus.acknowledge(batches);
      return batches.length > 0;
    }, `a batch of partition ${partition}`);
  }
  assert.deepEqual(warnings, []);
});

test("a server that gives the account no JetStream is said aloud, once, and failures come again as soon as it does", async () => {
  let hasRoom = false;
  const tooSmall = (config: string) => config.replace(/max_memory_store: \d+/, "max_memory_store: 1024");
  await using nats = await startTestNats({ edit: (config) => (hasRoom ? config : tooSmall(config)) });
  const said: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void said.push(JSON.parse(line).event) });
  await using bus = await openBus(nats.address, nats.keys, log);
  await until(() => /JetStream says .*not enabled/.test(bus.streamProblem() ?? ""), "the problem to be said");
  assert.deepEqual(said.filter((event) => event === "failure_stream_lost").length, 1);
  hasRoom = true;
  const pid = nats.server.pid();
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  await until(async () => {
    await send(nats, "a batch").catch(() => undefined);
    return (await bus.pullFailures(10, 200)).length > 0;
  }, "failures to come");
  await until(() => bus.streamProblem() === undefined, "the problem to be over");
});

test("a batch that waits is there once, however often it is sent, and its host's next one has a place as soon as it is acknowledged", async () => {
  await using nats = await startTestNats();
  await using bus = await openBus(nats.address, nats.keys, testLog);
  await using agent = await connectAgent(nats, "h1");
  const batches = async () => {
    const pulled = await bus.pullFailures(10, 1_000);
    return pulled.map(({ payload }) => Buffer.from(payload).toString());
  };
  const publish = (text: string) => agent.connection.publish(subjects.failures(0, "h1"), text);
  await until(async () => {
    publish("the stream stands");
    const pulled = await bus.pullFailures(10, 200);
    await bus.acknowledge(pulled);
    return pulled.length > 0;
  }, "the failure stream works");
  for (let round = 0; round < 200; round += 1) {
    publish(`batch ${round}`);
    publish(`batch ${round} again`);
    const pulled = await bus.pullFailures(10, 5_000);
    assert.deepEqual(
      pulled.map(({ payload }) => Buffer.from(payload).toString()),
      [`batch ${round}`],
    );
    await bus.acknowledge(pulled);
  }
  bus.giveBack(await bus.pullFailures(10, 1));
  publish("for another coordinator");
  bus.giveBack(await bus.pullFailures(10, 5_000));
  await until(async () => (await batches()).includes("for another coordinator"), "what was given back");
});

test("a stream that an earlier release kept on the disk is made anew in memory, and what agents send again arrives", async () => {
  await using nats = await startTestNats();
  await using coordinator = await connectAs(nats.address, {
    ...{ name: "earlier", jwt: () => coordinatorJwt(nats.keys, Date.now()), seed: nats.keys.coordinator.seed },
    inbox: coordinatorInbox,
  });
  const manager = await jetstreamManager(coordinator, { checkAPI: false });
  const onDisk = { retention: RetentionPolicy.Workqueue, storage: StorageType.File, no_ack: true };
  await manager.streams.add({ name: failureStream, subjects: [subjects.failuresOfAll], ...onDisk });
  await using bus = await openBus(nats.address, nats.keys, testLog);
  await using agent = await connectAgent(nats, "h1");
  await until(async () => {
    agent.connection.publish(subjects.failures(0, "h1"), "the same batch");
    const batches = await bus.pullFailures(10, 200);
    await bus.acknowledge(batches);
    return batches.length > 0;
  }, "the batch arrives");
  const { config } = await manager.streams.info(failureStream);
  assert.equal(config.storage, StorageType.Memory);
});

test("failures that a killed server had in its memory arrive when they are sent again", async () => {
  await using nats = await startTestNats();
  await using bus = await openBus(nats.address, nats.keys, testLog);
  const pull = async (): Promise<string[]> => {
    const batches = await bus.pullFailures(10, 200);
    await bus.acknowledge(batches);
    return batches.map(({ payload }) => Buffer.from(payload).toString());
  };
  await until(async () => {
    await send(nats, "first");
    return (await pull()).includes("first");
  }, "the first batch");
  const pid = nats.server.pid();
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  await until(async () => {
    await send(nats, "second").catch(() => undefined);
    return (await pull()).includes("second");
  }, "the second batch");
});
