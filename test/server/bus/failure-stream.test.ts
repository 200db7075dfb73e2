import { test } from "node:test";
import { openBus } from "../../../server/bus/bus.ts";
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
