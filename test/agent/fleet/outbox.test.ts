import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../../agent/fleet/outbox.ts";
import { pendingRowsMax } from "../../../agent/fleet/pending-failures.ts";
import { batchBytesMax, batchRowsMax, decodeFailureBatch } from "../../../shared/failure-batch.ts";
import { MemoryOutboxStore, quietLog } from "../../support/fleet-memory.ts";
import { until } from "../../support/nats.ts";

function openOutbox(store = new MemoryOutboxStore()) {
  const world = { connected: true, sent: [] as Uint8Array[], acknowledged: [] as unknown[], rooms: 0 };
  const outbox = new Outbox({
    store,
    send(payload) {
      if (world.connected) world.sent.push(payload);
      return world.connected;
    },
    onAcknowledged: (positions) => void world.acknowledged.push(positions.get("log")),
    onRoom: () => {
      world.rooms += 1;
    },
    spreadMs: () => 0,
    now: Date.now,
    random: () => 0,
    log: quietLog,
  });
  return { world, outbox, store, [Symbol.dispose]: () => outbox[Symbol.dispose]() };
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
  assert.deepEqual(each.world.acknowledged, [1]);
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
  each.outbox.acknowledged({ epoch: "life-0", sequence: 1 });
  assert.equal(each.outbox.state.inFlight, true);
  each.outbox.acknowledged({ epoch: "life-1", sequence: 1 });
  each.outbox.acknowledged({ epoch: "life-1", sequence: 1 });
  assert.deepEqual(each.world.acknowledged, [1]);
});

test("a memory that is an old copy begins a new life with the same failures", async () => {
  using each = openOutbox();
  each.outbox.add(parcel(1));
  await until(() => each.world.sent.length === 1, "sent");
  each.outbox.acknowledged({ epoch: "life-1", sequence: 40 });
  await until(() => each.world.sent.length === 2, "sent in the new life");
  const [before, after] = each.world.sent.map((payload) => decodeFailureBatch(payload));
  assert.deepEqual([after?.epoch, after?.sequence, after?.failures], ["life-2", 1, before?.failures]);
  assert.deepEqual(each.world.acknowledged, []);
});

test("cut off it keeps what it took, says no when it is full, and says when there is room again", async () => {
  using each = openOutbox();
  each.world.connected = false;
  let line = 0;
  while (each.outbox.add(parcel(line + 1, batchRowsMax))) line += 1;
  assert.ok(line * batchRowsMax <= pendingRowsMax + batchRowsMax);
  assert.equal(each.outbox.add(parcel(line + 2)), false);
  assert.equal(each.outbox.state.refusedFailures, batchRowsMax + 1);
  each.world.connected = true;
  each.outbox.connected();
  for (let sequence = 1; each.world.rooms === 0; sequence += 1) {
    await until(() => each.store.inFlight()?.sequence === sequence && each.world.sent.length >= sequence, "the next");
    each.outbox.acknowledged({ epoch: "life-1", sequence });
  }
  assert.deepEqual(each.world.acknowledged.at(-1), line);
  assert.equal(each.outbox.add(parcel(line + 1)), true);
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
  const store = new MemoryOutboxStore();
  {
    using each = openOutbox(store);
    each.outbox.add(parcel(7));
    await until(() => each.world.sent.length === 1, "sent");
  }
  using again = openOutbox(store);
  assert.deepEqual([...again.outbox.covered], [["log", 7]]);
});
