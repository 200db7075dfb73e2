import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeFailureBatch, FailureBatchWire } from "../../shared/failure-batch.ts";

const jails = ["sshd", "postfix"];
const head = { v: 1, e: "life1", s: 1, t: 1_700_000_000, j: jails };

/** Rows as agents write them, and with each field wrong in some way. */
const row = fc.oneof(
  fc.tuple(field(fc.integer()), field(fc.ipV4()), field(fc.nat(3)), field(fc.integer({ min: 0, max: 100_001 }))),
  fc.tuple(fc.integer(), fc.ipV6(), fc.nat(1), fc.integer({ min: 1, max: 9 }), field(fc.string({ maxLength: 300 }))),
  fc.array(fc.anything(), { maxLength: 7 }),
  fc.anything(),
);

function field<T>(right: fc.Arbitrary<T>) {
  const wrong = fc.constantFrom(null, "", "x".repeat(46), 1.5, -1, "1", true, 2 ** 60, [], {});
  return fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: wrong });
}

test("a row is taken exactly when the schema of the wire takes it", () => {
  fc.assert(
    fc.property(row, (candidate) => {
      const wire = JSON.parse(JSON.stringify({ ...head, f: [candidate] }));
      const read = FailureBatchWire.safeParse(wire);
      const { failures, badRows } = decodeFailureBatch(JSON.stringify(wire));
      // That the jail exists is not the schema's to know.
      const isTaken = read.success && jails[read.data.f[0]?.[2] ?? -1] !== undefined;
      assert.deepEqual([failures.length, badRows], isTaken ? [1, 0] : [0, 1]);
    }),
    { numRuns: 2000 },
  );
});

test("a bad row loses only itself", () => {
  const rows = [[0, "192.0.2.1", 0, 1], [0, "192.0.2.2", 7, 1], "nonsense", [1, "192.0.2.3", 1, 2, "a line"]];
  const { failures, badRows } = decodeFailureBatch(JSON.stringify({ ...head, f: rows }));
  assert.equal(badRows, 2);
  assert.deepEqual(failures, [
    { atMs: 1_700_000_000_000, address: "192.0.2.1", jail: "sshd", count: 1 },
    { atMs: 1_700_000_001_000, address: "192.0.2.3", jail: "postfix", count: 2, sample: "a line" },
  ]);
});
