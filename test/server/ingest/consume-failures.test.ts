import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { RawBatch } from "../../../server/bus/bus.ts";
import { partitionOfHost } from "../../../server/domain/partition.ts";
import { createEvents } from "../../../server/events.ts";
import { type FailureSource, startIngest } from "../../../server/ingest/consume-failures.ts";
import type { JudgeWriter } from "../../../server/ingest/judge-writer.ts";
import { encodeFailureBatch } from "../../../shared/failure-batch.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type Arena, failuresOf, openArena, startMs } from "./arena.ts";

/** A bus that has given these, and what became of them. The real one: test/server/bus/failure-stream.test.ts. */
class Given implements FailureSource {
  readonly acknowledged: string[] = [];
  readonly givenBack: string[] = [];
  readonly published: string[] = [];
  #waiting: readonly RawBatch[];

  constructor(waiting: readonly RawBatch[]) {
    this.#waiting = waiting;
  }

  async pullFailures(): Promise<readonly RawBatch[]> {
    const pulled = this.#waiting;
    this.#waiting = [];
    if (pulled.length === 0) await new Promise((resolve) => setImmediate(resolve));
    return pulled;
  }
  async acknowledge(batches: readonly RawBatch[]): Promise<void> {
    this.acknowledged.push(...batches.map(({ host }) => host));
  }
  giveBack(batches: readonly RawBatch[]): void {
    this.givenBack.push(...batches.map(({ host }) => host));
  }
  publish(subject: string): void {
    // No agent may hear of a commit before the bus has forgotten the batch.
    this.published.push(`${subject} after ${this.acknowledged.length}`);
  }
  wake(): void {}
  wakeOthers(): void {}
}

const hosts = ["h1", "h2", "h3"];
const rawOf = (host: string, text: string): RawBatch => ({ host, payload: Buffer.from(text), reply: host });
const textOf = (address: string) =>
  encodeFailureBatch({ epoch: "life1", sequence: 1, failures: failuresOf(address, 1, startMs), localBans: [] });

/** Takes in what was given, with this writer, until so many of it are done with. */
async function takeIn(writer: JudgeWriter, given: Given, count: number): Promise<string[]> {
  const said: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void said.push(line) });
  await using _ingest = startIngest({ source: given, writer, events: createEvents(log, () => startMs) });
  await waitFor(() => given.acknowledged.length + given.givenBack.length >= count, "everything to be done with");
  return said;
}

const countedBy = async ({ store }: Arena) =>
  (await store.rows<{ host: string }>("select host from failures order by host")).map(({ host }) => host);

test("a batch with one bad row loses only that row, and says so", async () => {
  await using arena = await openArena({ default: hosts });
  const good = textOf("192.0.2.1");
  const { f } = JSON.parse(good) as { f: unknown[] };
  const bad = JSON.stringify({ ...JSON.parse(good), f: [["not", "a", "row"], ...f] });
  const given = new Given([rawOf("h1", bad)]);
  const said = await takeIn(arena.writer, given, 1);
  assert.deepEqual(await countedBy(arena), ["h1"]);
  assert.match(said.join(""), /"host":"h1","rows":1/);
  await waitFor(() => given.published.length === 1, "the agent to hear of it");
});

test("a batch that cannot be committed is given up by itself: those pulled with it count, and it does not come again", async () => {
  await using arena = await openArena({ default: hosts });
  const overlap: JudgeWriter["overlap"] = (work) =>
    arena.writer.overlap(async (turn) => {
      const result = await work(turn);
      if (JSON.stringify(result).includes('"h2"')) throw new Error("the database takes everything but this");
      return result;
    });
  const given = new Given(hosts.map((host, index) => rawOf(host, textOf(`192.0.2.${index + 1}`))));
  const said = await takeIn({ ...arena.writer, overlap }, given, hosts.length);
  assert.deepEqual(await countedBy(arena), ["h1", "h3"]);
  assert.deepEqual(given.acknowledged.toSorted(), hosts);
  assert.match(said.join(""), /"host":"h2".*takes everything but this/);
});

test("what another coordinator takes in is given back; an agent hears of a commit when the bus has forgotten its batch", async () => {
  await using arena = await openArena({ default: hosts });
  const overlap: JudgeWriter["overlap"] = (work) =>
    arena.writer.overlap((turn) => work({ ...turn, share: new Set([partitionOfHost("h1")]) }));
  const given = new Given(hosts.map((host, index) => rawOf(host, textOf(`192.0.2.${index + 1}`))));
  await takeIn({ ...arena.writer, overlap }, given, hosts.length);
  const ours = given.acknowledged.toSorted();
  assert.ok(ours.includes("h1") && given.givenBack.length > 0);
  assert.deepEqual([...ours, ...given.givenBack].toSorted(), hosts);
  await waitFor(() => given.published.length === ours.length, "the agents to hear of it");
  assert.ok(
    given.published.every((each) => each.endsWith(`after ${ours.length}`)),
    String(given.published),
  );
});
