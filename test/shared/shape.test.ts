import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as zod from "zod/mini";
import * as shape from "../../shared/shape.ts";

/** As messages are made of: every builder and every check. */
function message(z: typeof shape) {
  const base = z.object({
    v: z.literal(1),
    name: z.string().check(z.minLength(1), z.maxLength(5), z.regex(/^[a-z]*$/)),
    count: z.int().check(z.nonnegative(), z.maximum(100)),
    ratio: z.exactOptional(z.number()),
    on: z.optional(z.boolean()),
    list: z.array(z.nullable(z.int().check(z.positive()))).check(z.maxLength(3)),
  });
  const row = z.union([
    z.tuple([z.literal("b"), z.int(), z.nullable(z.array(z.int()))]),
    z.tuple([z.literal("u"), z.string()]),
  ]);
  return z.extend(base, {
    row,
    loose: z.tuple([z.string(), z.int().check(z.minimum(-5))], z.unknown()),
    order: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("ban"), id: z.int() }),
      z.object({ kind: z.literal("allow"), never: z.exactOptional(z.literal(true)) }),
    ]),
    reason: z.enum(["expired", "admin"]),
    even: z.int().check(z.refine((value: number) => value % 2 === 0, "even")),
  });
}

const valid = fc.record(
  {
    v: fc.constant(1),
    name: fc.stringMatching(/^[a-z]{1,5}$/),
    count: fc.integer({ min: 0, max: 100 }),
    ratio: fc.double({ noNaN: true, noDefaultInfinity: true }),
    on: fc.boolean(),
    list: fc.array(fc.option(fc.integer({ min: 1 })), { maxLength: 3 }),
    row: fc.oneof(
      fc.tuple(fc.constant("b"), fc.integer(), fc.option(fc.array(fc.integer()))),
      fc.tuple(fc.constant("u"), fc.string()),
    ),
    loose: fc.tuple(fc.string(), fc.integer({ min: -5 }), fc.jsonValue()),
    order: fc.oneof(
      fc.record({ kind: fc.constant("ban"), id: fc.integer() }),
      fc.record({ kind: fc.constant("allow"), never: fc.constant(true) }, { requiredKeys: ["kind"] }),
    ),
    reason: fc.constantFrom("expired", "admin"),
    even: fc.integer().map((half) => half * 2),
    more: fc.jsonValue(),
  },
  { requiredKeys: ["v", "name", "count", "list", "row", "loose", "order", "reason", "even"] },
);
const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(undefined, Number.NaN, 1e300, -0, "", [], {}, 2 ** 53));

/** One value somewhere in it is another one, or gone. */
function disturbed(value: Record<string, unknown>, at: number, other: unknown, remove: boolean): unknown {
  const copy = structuredClone(value);
  const keys = Object.keys(copy);
  const key = keys[at % keys.length] ?? "";
  const inner = copy[key];
  if (remove) delete copy[key];
  else if (Array.isArray(inner) && inner.length > 0 && at % 2 === 0) inner[at % inner.length] = other;
  else copy[key] = other;
  return copy;
}

test("what zod takes is taken, as the same value, and what zod refuses is refused", () => {
  const ours = message(shape);
  const theirs = message(zod as unknown as typeof shape);
  const values = fc.oneof(
    { weight: 1, arbitrary: fc.jsonValue() },
    { weight: 2, arbitrary: valid },
    { weight: 5, arbitrary: fc.tuple(valid, fc.nat(50), odd, fc.boolean()).map((given) => disturbed(...given)) },
  );
  fc.assert(
    fc.property(values, (value) => {
      const [our, their] = [ours.safeParse(value), theirs.safeParse(value)];
      assert.equal(our.success, their.success);
      assert.deepEqual(our.data, their.data);
    }),
    { numRuns: 5_000 },
  );
});

test("an error names the place and what must be there", () => {
  const Message = shape.object({ o: shape.array(shape.object({ net: shape.string(), port: shape.int() })) });
  const why = (value: unknown) => Message.safeParse(value).error?.message;
  assert.equal(why({ o: [{ net: "x", port: 1 }, { net: "x" }] }), "o[1].port: must be there");
  assert.equal(why({ o: [{ net: 5, port: 1 }] }), "o[0].net: must be text");
  assert.equal(why([]), "must be an object");
});

test("what strangers put beside the named fields goes nowhere, and prototypes are no fields", () => {
  const Message = shape.object({ a: shape.int(), toString: shape.exactOptional(shape.string()) });
  const read = Message.parse(JSON.parse('{"a":1,"__proto__":{"b":2},"more":3}'));
  assert.deepEqual(Object.keys(read), ["a"]);
  assert.equal((read as { b?: unknown }).b, undefined);
  assert.equal(Message.safeParse(Object.create({ a: 1 })).success, false);
});

test("what lies deep or is long costs no stack and no more than its reading", () => {
  const Message = shape.object({ list: shape.array(shape.unknown()).check(shape.maxLength(3)) });
  let deep: unknown = 1;
  for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
  assert.equal(Message.safeParse({ list: [deep] }).success, true);
  assert.equal(Message.safeParse({ list: Array(1_000_000).fill(0) }).success, false);
});
