import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../../agent/fleet/outbox.ts";
import { batchBytesMax, batchRowsMax, decodeFailureBatch } from "../../../shared/failure-batch.ts";
import { OutboxDisk, quietLog } from "../../support/fleet-memory.ts";
import { until } from "../../support/nats.ts";

function openOutbox(disk = new OutboxDisk()) {
  const world = { connected: true, sent: [] as Uint8Array[], said: [] as unknown[], diskIsFull: false };
  const opened = disk.open();
  const store: typeof opened = {
    ...opened,
    spool(...given) {
      if (world.diskIsFull) throw new Error("database or disk is full");
      return opened.spool(...given);
    },
  };
  const outbox = new Outbox({
    store,
    send(payload) {
      if (world.connected) world.sent.push(payload);
      return world.connected;
    },
    spreadMs: () => 0,
    now: Date.now,
    random: () => 0,
    log: { ...quietLog, error: (fields: object) => void world.said.push("event" in fields && fields.event) },
  });
  return { world, outbox, disk, store, [Symbol.dispose]: () => outbox[Symbol.dispose]() };
}

const parcel = (line: number, count = 1, sample?: string) => ({
  failures: Array.from({ length: count }, (_, index) => ({
    atMs: (line * 1_000 + index) * 1_000,
    address: "192.0.2.1",
    jail: "sshd",
    count: 1,
    ...(sample === undefined ? {} : { sample }),
  })),
  localBans: [],
  positions: new Map([["log", line]]),
});

test("the first failure leaves at once, and one batch is in flight at a time", async () => {
  using each = openOutbox();
  each.outbox.add(parcel(1));
  await until(() => each.world.sent.length === 1, "sent");
  each.outbox.add(parcel(2));
  each.outbox.add(parcel(3));
  assert.equal(each.world.sent.length, 1);
  each.outbox.acknowledged({ epoch: each.store.epoch(), sequence: 1 });
  assert.equal(each.outbox.state.inFlight, false);
  await until(() => each.world.sent.length === 2, "the rest follows together");
  const batch = decodeFailureBatch(each.world.sent[1] ?? "");
  assert.deepEqual([batch.sequence, batch.failures.length], [2, 2]);
});

test("an unanswered batch is sent again, byte for byte", async () => {
  using each = openOutbox();
  each.outbox.add(parcel(1));
  await until(() => each.world.sent.length === 1, "sent");
  each.outbox.connected();
  await until(() => each.world.sent.length === 2, "sent again");
  assert.deepEqual(each.world.sent[1], each.world.sent[0]);
});

test("an acknowledgement of another life, another sequence or a second time moves nothing", async () => {
  using each = openOutbox();
  each.outbox.add(parcel(1));
  await until(() => each.world.sent.length === 1, "sent");
  const epoch = each.store.epoch();
  each.outbox.acknowledged({ epoch: "another", sequence: 1 });
  assert.equal(each.outbox.state.inFlight, true);
  each.outbox.acknowledged({ epoch, sequence: 1 });
  each.outbox.add(parcel(2));
  await until(() => each.world.sent.length === 2, "the next is sent");
  each.outbox.acknowledged({ epoch, sequence: 1 });
  assert.equal(each.outbox.state.inFlight, true);
});

test("a memory that is an old copy begins a new life with the same failures", async () => {
  using each = openOutbox();
  each.outbox.add(parcel(1));
  await until(() => each.world.sent.length === 1, "sent");
  const epoch = each.store.epoch();
  each.outbox.add(parcel(2));
  await until(() => each.outbox.state.spooledBytes > 0, "the next one waits on the disk");
  each.outbox.acknowledged({ epoch, sequence: 40 });
  await until(() => each.world.sent.length === 2, "sent in the new life");
  const [before, after] = each.world.sent.map((payload) => decodeFailureBatch(payload));
  assert.notEqual(after?.epoch, epoch);
  assert.deepEqual([after?.epoch, after?.sequence, after?.failures], [each.store.epoch(), 1, before?.failures]);
  each.outbox.acknowledged({ epoch: each.store.epoch(), sequence: 1 });
  await until(() => each.world.sent.length === 3, "what waited follows in the new life");
  const last = decodeFailureBatch(each.world.sent[2] ?? "");
  assert.deepEqual([last.epoch, last.sequence, last.failures[0]?.atMs], [each.store.epoch(), 2, 2_000_000]);
});

/** Connects and acknowledges batch after batch until nothing waits. @returns the lines sent, each time it was, in order */
async function drain({ outbox, store, world }: ReturnType<typeof openOutbox>): Promise<number[]> {
  const lines: number[] = [];
  const isIdle = () => !outbox.state.inFlight && outbox.state.waitingRows === 0;
  world.connected = true;
  outbox.connected();
  while (!isIdle()) {
    const before = world.sent.length;
    await until(() => world.sent.length > before || outbox.state.inFlight, "the next batch");
    const inFlight = store.inFlight();
    if (inFlight === undefined) continue;
    const { failures, sequence } = decodeFailureBatch(inFlight.payload);
    lines.push(...failures.map(({ atMs }) => Math.floor(atMs / 1_000_000)));
    outbox.acknowledged({ epoch: store.epoch(), sequence });
  }
  return lines;
}

test("cut off it keeps everything on the disk, and sends it in order when it is connected again", async () => {
  using each = openOutbox();
  each.world.connected = false;
  const lines = Array.from({ length: 100 }, (_, index) => index + 1);
  each.outbox.add(parcel(1));
  await until(() => each.outbox.state.inFlight, "the first is written down");
  for (const line of lines.slice(1)) each.outbox.add(parcel(line, batchRowsMax));
  await until(() => each.disk.position("log") === 100, "the log's position moves on");
  assert.deepEqual(await drain(each), [1, ...lines.slice(1).flatMap((line) => Array(batchRowsMax).fill(line))]);
  assert.deepEqual(each.outbox.state, {
    waitingRows: 0,
    inFlight: false,
    spooledRows: 0,
    spooledBytes: 0,
    lostRows: 0,
  });
});

test("few failures wait on the disk after a moment, all in one batch, and come once", async () => {
  using each = openOutbox();
  each.world.connected = false;
  for (const line of [1, 2, 3, 4]) {
    each.outbox.add(parcel(line));
    await until(() => each.disk.position("log") === line, "it is written down");
  }
  assert.equal(each.outbox.state.waitingRows, 3);
  assert.deepEqual(await drain(each), [1, 2, 3, 4]);
  // Batches 1 and 2 were all.
  assert.equal(each.store.nextSequence(), 3);
});

test("killed while cut off, it sends what it had written down, once and in order", async () => {
  const disk = new OutboxDisk();
  for (const line of [1, 2, 3]) {
    using each = openOutbox(disk);
    each.world.connected = false;
    each.outbox.add(parcel(line * 10));
    each.outbox.add(parcel(line * 10 + 1));
    await until(() => disk.position("log") === line * 10 + 1, "both are written down");
    each.outbox.add(parcel(line * 10 + 2));
    disk.die();
  }
  // What was added last was not written down, and neither was its position: the log gives it again.
  using again = openOutbox(disk);
  assert.deepEqual(await drain(again), [10, 11, 20, 21, 30, 31]);
});

test("stopped while cut off, it keeps also what came last", async () => {
  const disk = new OutboxDisk();
  {
    using each = openOutbox(disk);
    each.world.connected = false;
    each.outbox.add(parcel(1));
    await until(() => each.outbox.state.inFlight, "the first is written down");
    each.outbox.add(parcel(2));
  }
  assert.equal(disk.position("log"), 2);
  using again = openOutbox(disk);
  assert.deepEqual(await drain(again), [1, 2]);
});

test("what finds no room on the disk pushes out the oldest, and says so", async () => {
  using each = openOutbox(new OutboxDisk({ bytesMax: 30_000, ageMaxMs: Number.MAX_SAFE_INTEGER }));
  each.world.connected = false;
  each.outbox.add(parcel(1));
  await until(() => each.outbox.state.inFlight, "the first is written down");
  for (let line = 2; line <= 100; line += 1) each.outbox.add(parcel(line, batchRowsMax));
  const { spooledBytes, lostRows, waitingRows } = each.outbox.state;
  assert.ok(spooledBytes <= 30_000, String(spooledBytes));
  assert.ok(lostRows > 0);
  assert.equal(lostRows + waitingRows, 99 * batchRowsMax);
  assert.deepEqual(each.world.said, ["failures_lost"]);
  const lines = [...new Set(await drain(each))];
  assert.deepEqual(lines, [1, ...Array.from({ length: lines.length - 1 }, (_, index) => 102 - lines.length + index)]);
});

test("a batch that was damaged on the disk is left out, and those behind it are sent", async () => {
  using each = openOutbox();
  each.world.connected = false;
  each.outbox.add(parcel(1));
  await until(() => each.outbox.state.inFlight, "the first is written down");
  each.store.spool({ id: undefined, rows: 1, content: new Uint8Array([1, 2, 3]) }, new Map(), 0);
  each.outbox.add(parcel(2));
  assert.deepEqual(await drain(each), [1, 2]);
  assert.deepEqual(each.world.said, ["spool_damaged"]);
});

test("on a full disk the memory stays small: what is lost is counted, and what comes later is kept again", async () => {
  using each = openOutbox();
  each.world.connected = false;
  each.outbox.add(parcel(1));
  await until(() => each.outbox.state.inFlight, "the first is written down");
  each.world.diskIsFull = true;
  each.outbox.add(parcel(2, batchRowsMax));
  each.outbox.add(parcel(3, batchRowsMax));
  assert.deepEqual([each.outbox.state.lostRows, each.outbox.state.waitingRows], [batchRowsMax, batchRowsMax]);
  assert.deepEqual(each.world.said, ["spool_unwritable", "failures_lost"]);
  assert.match(each.outbox.problems.join(), /dropped 500 rows/);
  each.world.diskIsFull = false;
  each.outbox.add(parcel(4, batchRowsMax));
  await until(() => each.disk.position("log") === 4, "the rest is written down");
  assert.deepEqual([...new Set(await drain(each))], [1, 3, 4]);
});

test("a log that moves on without failures sends nothing: only its position is written down", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  using each = openOutbox();
  each.outbox.add({ failures: [], localBans: [], positions: new Map([["log", 9]]) });
  t.mock.timers.tick(60_000);
  assert.deepEqual([each.disk.position("log"), each.world.sent.length, each.outbox.state.inFlight], [9, 0, false]);
});

test("a batch never exceeds what the bus carries: samples that do not fit are left out", async () => {
  using each = openOutbox();
  each.outbox.add(parcel(1, batchRowsMax, "\u0001".repeat(256)));
  await until(() => each.world.sent.length === 1, "sent");
  assert.ok((each.world.sent[0]?.byteLength ?? 0) <= batchBytesMax);
  const { failures } = decodeFailureBatch(each.world.sent[0] ?? "");
  assert.deepEqual([failures.length, failures[0]?.sample], [batchRowsMax, undefined]);
});

test("after a restart reading goes on behind the batch in flight", async () => {
  const disk = new OutboxDisk();
  {
    using each = openOutbox(disk);
    each.outbox.add(parcel(7));
    await until(() => each.world.sent.length === 1, "sent");
  }
  assert.equal(disk.position("log"), 7);
});
