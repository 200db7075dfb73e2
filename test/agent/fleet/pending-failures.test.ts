import assert from "node:assert/strict";
import { test } from "node:test";
import { PendingFailures, pendingRowsMax } from "../../../agent/fleet/pending-failures.ts";
import { batchRowsMax, type Failure } from "../../../shared/failure-batch.ts";

const failure = (last: number, atMs = 1_000): Failure => ({
  atMs,
  address: `192.0.2.${last}`,
  jail: "sshd",
  count: 1,
});
const parcel = (failures: readonly Failure[], position: number) => ({
  failures,
  localBans: [],
  positions: new Map([["/var/log/auth.log", position]]),
});

test("failures of one address in one second are one row, with their number", () => {
  const pending = new PendingFailures();
  pending.add(parcel([failure(1, 1_000), failure(1, 1_999), failure(1, 2_000)], 10));
  pending.add(parcel([failure(1, 1_500)], 20));
  const { failures, positions } = pending.take();
  assert.deepEqual(
    failures.map(({ atMs, count }) => [atMs, count]),
    [
      [1_000, 3],
      [2_000, 1],
    ],
  );
  assert.deepEqual([...positions.values()], [20]);
});

test("a batch covers whole additions, so its position covers exactly its failures", () => {
  const pending = new PendingFailures();
  const distinct = (from: number) =>
    Array.from({ length: 300 }, (_, index) => failure(index % 250, (from + index) * 1_000));
  pending.add(parcel(distinct(0), 10));
  pending.add(parcel(distinct(1_000), 20));
  const first = pending.take();
  assert.deepEqual([first.failures.length, [...first.positions.values()]], [300, [10]]);
  assert.ok(first.failures.length <= batchRowsMax);
  const second = pending.take();
  assert.deepEqual([second.failures.length, [...second.positions.values()]], [300, [20]]);
  assert.equal(pending.empty, true);
});

test("long samples make a batch end earlier", () => {
  const pending = new PendingFailures();
  for (let index = 0; index < batchRowsMax; index += 1) {
    pending.add(parcel([{ ...failure(index % 250, index * 1_000), sample: "\u0001".repeat(256) }], index));
  }
  const { failures } = pending.take();
  assert.ok(failures.length > 10 && failures.length < 60, String(failures.length));
});

test("a log that moves on without failures takes no memory", () => {
  const pending = new PendingFailures();
  for (let position = 0; position < 1_000; position += 1) pending.add(parcel([], position));
  assert.deepEqual([...pending.take().positions.values()], [999]);
  assert.equal(pending.empty, true);
});

test("when it is full it takes nothing of what is added", () => {
  const pending = new PendingFailures();
  const rows = Array.from({ length: 500 }, (_, index) => failure(index % 250, index * 1_000));
  for (let count = 0; count < pendingRowsMax; count += 500) assert.equal(pending.add(parcel(rows, count)), true);
  assert.equal(pending.add(parcel([failure(1)], 99_999)), false);
  assert.equal(pending.rows, pendingRowsMax);
});
