import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RememberedFailure } from "../../../server/domain/judge.ts";
import { PackedFailures } from "../../../server/store/packed-failures.ts";

const failure: fc.Arbitrary<RememberedFailure> = fc.record(
  {
    weight: fc.constantFrom("fleet" as const, "tenant" as const),
    atMs: fc.nat({ max: 2 ** 50 }),
    tenant: fc.constantFrom("default", "a"),
    host: fc.constantFrom("h1", "h2", "a"),
    jail: fc.constantFrom("sshd", "postfix", "fleet"),
    net: fc.constantFrom("192.0.2.1/32", "0.0.0.0/32", "255.255.255.255/32", "2001:db8::/64", "2001:db8::1/128"),
    count: fc.integer({ min: 1, max: 100_000 }),
  },
  { noNullPrototype: true },
);

test("what is packed comes out as it went in, in its order and as often as it is asked for", () => {
  fc.assert(
    fc.property(fc.array(failure, { maxLength: 3000, size: "max" }), (failures) => {
      const packed = new PackedFailures();
      for (const each of failures) packed.push(each);
      assert.deepEqual([...packed], failures);
      assert.deepEqual([...packed], failures);
    }),
    { numRuns: 30 },
  );
});
