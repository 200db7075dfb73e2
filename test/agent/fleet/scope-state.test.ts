import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type FrameOutcome, ScopeState } from "../../../agent/fleet/scope-state.ts";
import { type FrameContext, ScopeFrames } from "../../../server/orders/scope-frames.ts";
import { ScopeLog } from "../../../server/orders/scope-log.ts";
import { snapshotPartsMax } from "../../../shared/fleet-messages.ts";
import type { Order } from "../../../shared/order.ts";
import { decodeOrderFrame, frameOrdersMax, type ReceivedFrame } from "../../../shared/order-frame.ts";

const keys = generateKeyPairSync("ed25519");
const context = { signingKey: keys.privateKey, epoch: 1, nowMs: 1_000, spreadMs: 0 };
const read = (bytes: Buffer) => decodeOrderFrame(bytes, keys.publicKey);

const ban = (id: number): Order => ({
  kind: "ban",
  id,
  net: `192.0.2.${id % 256}/32`,
  untilMs: 5_000 + id,
  ports: null,
  level: 0,
});
const unban = (id: number): Order => ({ kind: "unban", id, net: `192.0.2.${id % 256}/32`, reason: "admin" });

/** A coordinator's log of `count` bans in a new scope. */
function logOf(count: number): Readonly<{ log: ScopeLog; frames: ScopeFrames }> {
  const log = new ScopeLog();
  log.append({ from: 0, orders: Array.from({ length: count }, (_, index) => ban(index + 1)) });
  return { log, frames: new ScopeFrames("fleet", log) };
}

const delta = (frames: ScopeFrames, from: number): ReceivedFrame[] => (frames.since(from, context) ?? []).map(read);

/** One part: the first, or the one that is wanted. */
function chunk(
  frames: ScopeFrames,
  now: FrameContext,
  least: number,
  wanted?: Readonly<{ revision: number; index: number }>,
): Buffer {
  const [part] = frames.parts(now, least, 1, wanted);
  assert(part);
  return part;
}

/** Whether the next part is to come, asked for or not. */
const isUnfinished = ({ ask }: FrameOutcome): boolean => ask === "now" || ask === "wait";

function pullSnapshot(state: ScopeState, frames: ScopeFrames, nowMs = 1_000) {
  let outcome = state.take(read(chunk(frames, context, 0)), nowMs);
  while (isUnfinished(outcome)) outcome = state.take(read(chunk(frames, context, 0, state.awaited)), nowMs);
  return outcome;
}

test("a gap is noticed and asked for, and nothing of the later frame is applied", () => {
  const { log, frames } = logOf(1);
  const state = new ScopeState("fleet");
  pullSnapshot(state, frames);
  log.append({ from: 1, orders: [ban(2)] });
  log.append({ from: 2, orders: [ban(3)] });
  const outcome = delta(frames, 2).map((frame) => state.take(frame, 0));
  assert.deepEqual(
    outcome.map(({ ask, orders }) => [ask, orders.length]),
    [["soon", 0]],
  );
  assert.equal(state.inSync, false);
});

test("of a frame that overlaps with what is known only the new part is carried out", () => {
  const { log, frames } = logOf(2);
  const state = new ScopeState("fleet");
  pullSnapshot(state, frames);
  log.append({ from: 2, orders: [ban(3)] });
  const [frame] = delta(frames, 0);
  assert.ok(frame);
  assert.deepEqual(state.take(frame, 0).orders, [ban(3)]);
  assert.deepEqual(state.take(frame, 0).orders, []);
  assert.equal(state.inSync, true);
});

test("a replay of an old ban after its lift does nothing", () => {
  const { log, frames } = logOf(1);
  const [old] = delta(frames, 0);
  const oldSnapshot = read(chunk(frames, context, 0));
  log.append({ from: 1, orders: [unban(1)] });
  const state = new ScopeState("fleet");
  state.restore(1, 2, []);
  assert.ok(old);
  assert.deepEqual(state.take(old, 0).orders, []);
  assert.deepEqual(state.take(oldSnapshot, 0).orders, []);
  assert.equal(state.set.size, 0);
});

test("frames of an earlier epoch are ignored whatever their revision", () => {
  const { frames } = logOf(3);
  const state = new ScopeState("fleet");
  state.restore(2, 1, []);
  for (const frame of [...delta(frames, 0), read(chunk(frames, context, 0))]) {
    const outcome = state.take(frame, 0);
    assert.match(outcome.ignored ?? "", /replay/);
    assert.equal(state.set.revision, 1);
  }
});

test("a new epoch needs a snapshot, which may have a lower revision", () => {
  const { frames } = logOf(3);
  const state = new ScopeState("fleet");
  state.restore(
    1,
    9,
    [ban(9)].filter((order) => order.kind === "ban"),
  );
  const next = { ...context, epoch: 2 };
  const [heartbeat] = (frames.since(3, next) ?? []).map(read);
  assert.ok(heartbeat);
  assert.equal(state.take(heartbeat, 0).ask, "soon");
  const outcome = state.take(read(chunk(frames, next, 0)), 0);
  assert.equal(outcome.saved, "snapshot");
  assert.deepEqual([state.epoch, state.set.revision, state.set.size], [2, 3, 3]);
  assert.deepEqual(
    outcome.orders.filter((order) => order.kind === "unban"),
    [{ kind: "unban", id: 9, net: "192.0.2.9/32", reason: "admin" }],
  );
});

test("a ban that vanished while we were away ended by itself or was lifted, by its own end", () => {
  const { log, frames } = logOf(2);
  const state = new ScopeState("fleet");
  pullSnapshot(state, frames);
  log.append({ from: 2, orders: [unban(1), unban(2)] });
  const later = { ...context, nowMs: 10 * 60_000 };
  // Their ends are 5001 and 5002.
  const { orders } = state.take(read(chunk(frames, later, 4)), 5_001);
  assert.deepEqual(
    orders.map((order) => order.kind === "unban" && [order.id, order.reason]),
    [
      [1, "expired"],
      [2, "admin"],
    ],
  );
});

test("a set that is damaged takes nothing but a snapshot, and is whole afterwards", () => {
  const { log, frames } = logOf(3);
  const state = new ScopeState("fleet");
  state.restore(1, 3, []);
  const [heartbeat] = delta(frames, 3);
  assert.ok(heartbeat);
  assert.equal(state.take(heartbeat, 0).ask, "soon");
  assert.equal(state.damaged, true);
  log.append({ from: 3, orders: [ban(4)] });
  for (const frame of delta(frames, 3)) assert.deepEqual(state.take(frame, 0).orders, []);
  state.take(read(chunk(frames, context, state.set.revision)), 0);
  assert.deepEqual([state.damaged, state.inSync, state.set.hash], [false, true, log.hash]);
});

test("a snapshot of several chunks is put together, also when ticks come in between", () => {
  const { log, frames } = logOf(frameOrdersMax * 2 + 1);
  const state = new ScopeState("fleet");
  let outcome = state.take(read(chunk(frames, context, 0)), 0);
  let chunks = 1;
  while (isUnfinished(outcome)) {
    const before = log.revision;
    log.append({ from: before, orders: [ban(before + 1)] });
    for (const frame of delta(frames, before)) assert.equal(state.take(frame, 0).ask, "no");
    outcome = state.take(read(chunk(frames, context, 0, state.awaited)), 0);
    chunks += 1;
  }
  assert.equal(chunks, 3);
  for (const frame of delta(frames, state.set.revision)) state.take(frame, 0);
  assert.deepEqual([state.inSync, state.set.hash], [true, log.hash]);
});

test("a chunk of another snapshot is not mixed in", () => {
  const { log, frames } = logOf(frameOrdersMax + 1);
  const state = new ScopeState("fleet");
  state.take(read(chunk(frames, context, 0)), 0);
  log.append({ from: log.revision, orders: [ban(log.revision + 1)] });
  const other = new ScopeFrames("fleet", log);
  const { revision } = log;
  chunk(other, context, 0);
  const foreign = read(chunk(other, context, 0, { revision, index: 1 }));
  const outcome = state.take(foreign, 0);
  assert.deepEqual([outcome.saved, outcome.orders.length], ["nothing", 0]);
});

test("one question brings the parts up to the next eighth, and only the last of them makes for another", () => {
  const { log, frames } = logOf(frameOrdersMax * 18 + 1);
  const state = new ScopeState("fleet");
  const asked: number[] = [];
  for (let ask: FrameOutcome["ask"] = "now"; ask === "now"; ) {
    const parts = frames.parts(context, 0, snapshotPartsMax, state.awaited);
    asked.push(parts.length);
    for (const part of parts) ({ ask } = state.take(read(part), 0));
  }
  assert.deepEqual(asked, [8, 8, 3]);
  assert.deepEqual([state.inSync, state.set.hash], [true, log.hash]);
});

test("an answer is no larger than 128 KiB, and at least one part", () => {
  const log = new ScopeLog();
  const orders = Array.from({ length: frameOrdersMax * 9 }, (_, index): Order => {
    // Nothing in it packs well.
    const net = Array.from(randomBytes(16).toString("hex").matchAll(/..../g), String).join(":");
    return { kind: "ban", id: index + 1, net: `${net}/128`, untilMs: randomInt(1, 2 ** 47), ports: null, level: 0 };
  });
  log.append({ from: 0, orders });
  const parts = new ScopeFrames("fleet", log).parts(context, 0, snapshotPartsMax);
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  assert.ok(
    parts.length >= 1 && parts.length < snapshotPartsMax && (parts.length === 1 || bytes <= 128 * 1024),
    `${parts.length}: ${bytes}`,
  );
});

/** One step of the world between two ends. */
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("order" as const),
      lift: fc.boolean(),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("deliver" as const), at: fc.nat(20), keep: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("ask" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("newEpoch" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
);

test("whatever is lost, repeated or swapped, one answered question ends in the coordinator's set", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const log = new ScopeLog();
      let frames = new ScopeFrames("fleet", log);
      let now = context;
      let state = new ScopeState("fleet");
      /** What the orders handed on amount to: the firewall's view. */
      const enforced = new Map<number, Order>();
      const onTheWay: Buffer[] = [];
      let bans = 0;
      const carryOut = (orders: readonly Order[]) => {
        for (const order of orders) {
          if (order.kind === "ban") enforced.set(order.id, order);
          else enforced.delete(order.id);
        }
      };
      const take = (bytes: Buffer) => {
        const outcome = state.take(read(bytes), 0);
        carryOut(outcome.orders);
        return outcome;
      };
      const answer = () => {
        const continues = state.epoch === now.epoch && !state.damaged && state.awaited === undefined;
        const part = state.awaited?.epoch === now.epoch ? state.awaited : undefined;
        const least = state.epoch === now.epoch ? state.set.revision : 0;
        return (continues ? frames.since(state.set.revision, now) : undefined) ?? [chunk(frames, now, least, part)];
      };
      for (const each of steps) {
        if (each.do === "order") {
          const from = log.revision;
          const orders = Array.from({ length: each.count }, () => {
            if (each.lift && bans > 0) return unban(1 + (from % bans));
            bans += 1;
            return ban(bans);
          });
          log.append({ from, orders });
          onTheWay.push(...(frames.since(from, now) ?? []));
        } else if (each.do === "deliver") {
          const [bytes] = each.keep ? [onTheWay[each.at]] : onTheWay.splice(each.at, 1);
          if (bytes !== undefined) take(bytes);
        } else if (each.do === "drop") onTheWay.splice(each.at, 1);
        else if (each.do === "ask") onTheWay.push(...answer());
        else if (each.do === "newEpoch") {
          now = { ...now, epoch: now.epoch + 1 };
          frames = new ScopeFrames("fleet", log);
        } else {
          const { epoch, set } = state;
          state = new ScopeState("fleet");
          state.restore(epoch, set.revision, [...set.entries()]);
        }
      }
      // The last question, answered without loss.
      const done = () => state.inSync && state.epoch === now.epoch && state.set.hash === log.hash;
      for (let asked = 0; asked < 5 && !done(); asked += 1) {
        for (const bytes of answer()) take(bytes);
      }
      assert.equal(state.set.hash, log.hash);
      assert.equal(state.epoch, now.epoch);
      assert.deepEqual(
        new Map([...enforced].sort(([one], [other]) => one - other)),
        new Map(
          [...state.set.entries()].map((order) => [order.id, order] as const).sort(([one], [other]) => one - other),
        ),
      );
    }),
    { numRuns: 300 },
  );
});

/** What came over the wire, with order `index` replaced by one that cannot be read. */
function spoil(frame: ReceivedFrame, id: number): ReceivedFrame {
  const orders = frame.orders.map((order) =>
    order.id === id ? ({ kind: "unusable", id, net: "?", why: "test" } as const) : order,
  );
  return { ...frame, orders };
}

test("an order that cannot be read stops nothing but itself, in a delta as in a snapshot", () => {
  const { log, frames } = logOf(3);
  const state = new ScopeState("fleet");
  const first = state.take(spoil(read(chunk(frames, context, 0)), 2), 0);
  assert.deepEqual([first.orders.length, first.unusable.length, state.inSync], [2, 1, true]);
  log.append({ from: 3, orders: [ban(4), ban(5)] });
  const [frame] = delta(frames, 3);
  assert.ok(frame);
  const second = state.take(spoil(frame, 4), 0);
  assert.deepEqual([second.orders.length, second.unusable.length, state.inSync], [1, 1, true]);
  assert.equal(state.set.revision, 5);
});

test("once what could not be read is lifted, the hash counts again", () => {
  const { log, frames } = logOf(2);
  const state = new ScopeState("fleet");
  state.take(spoil(read(chunk(frames, context, 0)), 2), 0);
  log.append({ from: 2, orders: [unban(2)] });
  for (const frame of delta(frames, 2)) state.take(frame, 0);
  assert.deepEqual([state.inSync, state.set.hash], [true, log.hash]);
  const [heartbeat] = delta(frames, 3);
  assert.ok(heartbeat);
  state.take({ ...heartbeat, hash: "0".repeat(16) }, 0);
  assert.deepEqual([state.inSync, state.damaged], [false, true]);
});
