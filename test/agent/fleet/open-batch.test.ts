import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenBatch } from "../../../agent/fleet/open-batch.ts";
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
  const open = new OpenBatch();
  open.add(parcel([failure(1, 1_000), failure(1, 1_999), failure(1, 2_000)], 10));
  open.add(parcel([failure(1, 1_500)], 20));
  const { failures, positions } = open.content;
  assert.deepEqual(
    failures.map(({ atMs, count }) => [atMs, count]),
    [
      [1_000, 3],
      [2_000, 1],
    ],
  );
  assert.deepEqual([...positions.values()], [20]);
});

test("what was added together fits together or not at all; equal failures take no room", () => {
  const open = new OpenBatch();
  const distinct = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => failure(index % 250, (from + index) * 1_000));
  open.add(parcel(distinct(0, 300), 10));
  assert.equal(open.fits(parcel(distinct(1_000, 201), 20)), false);
  assert.equal(open.fits(parcel(distinct(1_000, 200), 20)), true);
  assert.equal(open.fits(parcel([...distinct(0, 300), ...distinct(1_000, 200)], 20)), true);
  assert.ok(open.rows <= batchRowsMax);
});

test("long samples make a batch end earlier", () => {
  const open = new OpenBatch();
  const long = (index: number) => [{ ...failure(index % 250, index * 1_000), sample: "\u0001".repeat(256) }];
  let rows = 0;
  while (open.fits(parcel(long(rows), rows))) {
    open.add(parcel(long(rows), rows));
    rows += 1;
  }
  assert.ok(rows > 10 && rows < 60, String(rows));
});

test("a log that moves on without failures takes no memory, and makes no rows", () => {
  const open = new OpenBatch();
  assert.equal(open.empty, true);
  for (let position = 0; position < 1_000; position += 1) open.add(parcel([], position));
  assert.deepEqual([...open.content.positions.values()], [999]);
  assert.deepEqual([open.rows, open.empty], [0, false]);
});
