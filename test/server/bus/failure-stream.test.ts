import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { openBus } from "../../../server/bus/bus.ts";
import { connectAs } from "../../../server/bus/connect.ts";
import { coordinatorJwt } from "../../../server/bus/jwt.ts";
import { coordinatorInbox, failureStream } from "../../../server/bus/permissions.ts";
import { subjects } from "../../../shared/subjects.ts";
import { connectAgent, startTestNats, testLog, until } from "../../support/nats.ts";

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
    for (const batch of batches) batch.ack();
    return batches.length > 0;
  }, "the failure stream works");

  for (let round = 0; round < rounds; round += 1) {
    // A line or two for a long time, then full batches as after an outage. Each is taken before the next one comes.
    const bytes = round < smallOnes ? 300 : 60_000;
    agent.connection.publish(`f2b.v1.fail.0.h${round}`, Buffer.alloc(bytes));
    await until(
      async () => {
        const batches = await bus.pullFailures(50, 200);
        for (const batch of batches) batch.ack();
        return batches.some((batch) => batch.host === `h${round}` && batch.payload.length === bytes);
      },
      `message ${round} of ${rounds}`,
      withinMs,
    );
  }
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
    for (const batch of batches) batch.ack();
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
    for (const batch of batches) batch.ack();
    return batches.map(({ payload }) => Buffer.from(payload).toString());
  };
  const send = async (what: string): Promise<void> => {
    await using agent = await connectAgent(nats, "h1");
    agent.connection.publish(subjects.failures(0, "h1"), what);
    await agent.connection.flush();
  };
  await until(async () => {
    await send("first");
    return (await pull()).includes("first");
  }, "the first batch");
  const pid = nats.server.pid();
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  await until(async () => {
    await send("second").catch(() => undefined);
    return (await pull()).includes("second");
  }, "the second batch");
});
