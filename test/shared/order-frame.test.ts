import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import type { Fleet2banError } from "../../shared/errors.ts";
import { type Order, OrderWire } from "../../shared/order.ts";
import {
  decodeOrderFrame,
  encodeOrderFrame,
  frameBytesMax,
  frameOrdersMax,
  type OrderFrame,
} from "../../shared/order-frame.ts";

const keys = generateKeyPairSync("ed25519");
const orders: readonly Order[] = [
  { kind: "ban", id: 7, net: "192.0.2.1/32", untilMs: 1_700_000_000_500, ports: [22, 2222], level: 0 },
  { kind: "ban", id: 5, net: "2001:db8::/64", untilMs: null, ports: null, level: null },
  { kind: "unban", id: 7, net: "192.0.2.1/32", reason: "false-positive" },
  { kind: "allow", id: 1, net: "198.51.100.0/24", untilMs: 1_600_000_000_000 },
  { kind: "disallow", id: 1, net: "198.51.100.0/24" },
];
const frame: OrderFrame = {
  kind: "delta",
  scope: "tenant:a",
  epoch: 3,
  from: 10,
  to: 15,
  hash: "0123456789abcdef",
  orders,
  atMs: 1_700_000_000_000,
  spreadMs: 5,
  chunk: null,
};

const refusal = (code: Fleet2banError["code"]) => (error: unknown) =>
  error instanceof Error && "code" in error && error.code === code;

test("a frame reads as it was written", () => {
  assert.deepEqual(decodeOrderFrame(encodeOrderFrame(frame, keys.privateKey), keys.publicKey), frame);
});

test("a long frame is packed and reads as it was written", () => {
  const many = Array.from(
    { length: frameOrdersMax },
    (_, index): Order => ({
      kind: "ban",
      id: index + 1,
      net: `203.0.113.${index % 256}/32`,
      untilMs: 1_700_000_000_000 + ((index * 7919) % 86_400_000),
      ports: null,
      level: index % 4,
    }),
  );
  const long = { ...frame, from: 0, to: many.length, orders: many };
  const bytes = encodeOrderFrame(long, keys.privateKey);
  assert.ok(bytes.length < frameBytesMax);
  assert.deepEqual(decodeOrderFrame(bytes, keys.publicKey), long);
});

test("a frame with any single bit flipped is refused", () => {
  const bytes = encodeOrderFrame(frame, keys.privateKey);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const altered = Buffer.from(bytes);
    altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    assert.throws(() => decodeOrderFrame(altered, keys.publicKey), refusal("forbidden"), `bit ${bit}`);
  }
});

test("a frame signed with another key is refused", () => {
  const forged = encodeOrderFrame(frame, generateKeyPairSync("ed25519").privateKey);
  assert.throws(() => decodeOrderFrame(forged, keys.publicKey), refusal("forbidden"));
});

test("a cut, empty or longer frame is refused", () => {
  const bytes = encodeOrderFrame(frame, keys.privateKey);
  for (const altered of [
    Buffer.alloc(0),
    bytes.subarray(0, 64),
    bytes.subarray(0, -1),
    Buffer.concat([bytes, bytes]),
  ]) {
    assert.throws(() => decodeOrderFrame(altered, keys.publicKey), refusal("forbidden"));
  }
});

/** What only somebody with the key could make: the agent must survive a coordinator gone wrong, too. */
function signed(body: Buffer, encoding = 0): Buffer {
  const head = Buffer.of(encoding);
  const purpose = Buffer.from("fleet2ban orders 1\0");
  return Buffer.concat([head, sign(null, Buffer.concat([purpose, head, body]), keys.privateKey), body]);
}

const wire = { v: 1, k: "delta", s: "fleet", e: 1, f: 0, t: 1, h: null, at: 1, sp: 0, c: null };

test("a signed frame that unpacks to more than any frame holds is refused", () => {
  const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
  assert.throws(() => decodeOrderFrame(signed(bomb, 1), keys.publicKey), refusal("invalid"));
});

for (const [what, row] of [
  ["an unknown verb", ["x", 1, "192.0.2.1/32"]],
  ["a net that is none", ["b", 1, "$(reboot)", null, null, null]],
  ["a port that is none", ["b", 1, "192.0.2.1/32", null, [70_000], null]],
  ["a reason that is none", ["u", 1, "192.0.2.1/32", "because"]],
  ["a ban without an id", ["b", 0, "192.0.2.1/32", null, null, null]],
] as const) {
  test(`of a signed frame ${what} is no order, and those after it are`, () => {
    const next = ["b", 5, "192.0.2.9/32", null, null, null];
    const body = Buffer.from(JSON.stringify({ ...wire, t: 2, o: [row, next] }));
    const [unusable, order] = decodeOrderFrame(signed(body), keys.publicKey).orders;
    assert.deepEqual([unusable?.kind, unusable?.id, unusable?.net], ["unusable", row[1], row[2]]);
    assert.deepEqual(order, {
      kind: "ban",
      id: row[1] + 5,
      net: "192.0.2.9/32",
      untilMs: null,
      ports: null,
      level: null,
    });
  });
}

test("a row is a ban exactly where the schema of orders says so", () => {
  const odd = fc.oneof(fc.constantFrom(null, "", "1", true, -1, 0, 1.5, 2 ** 53, [], {}), fc.integer());
  const field = fc.record({
    id: fc.oneof(fc.integer({ min: -2, max: 9 }), fc.constant(2 ** 53)),
    net: fc.oneof(
      fc.ipV4().map((each) => `${each}/32`),
      fc.ipV6().map((each) => `${each}/64`),
      odd,
    ),
    until: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 2 ** 45 }), odd),
    ports: fc.oneof(fc.constant(null), fc.array(fc.integer({ min: 0, max: 65_536 }), { maxLength: 3 }), odd),
    level: fc.oneof(fc.constant(null), fc.integer({ min: -1, max: 17 }), odd),
    more: fc.boolean(),
  });
  fc.assert(
    fc.property(field, ({ id, net, until, ports, level, more }) => {
      const row = ["b", id, net, until, ports, level, ...(more ? [1] : [])];
      const body = Buffer.from(JSON.stringify({ ...wire, o: [row] }));
      let order: unknown;
      try {
        [order] = decodeOrderFrame(signed(body), keys.publicKey).orders;
      } catch {
        return;
      }
      const wanted = OrderWire.safeParse({ kind: "ban", id, net, untilMs: until, ports, level });
      if (!more && wanted.success) assert.deepEqual(order, wanted.data);
      else assert.equal((order as { kind: string }).kind, "unusable");
    }),
    { numRuns: 2_000 },
  );
});

test("a signed frame with a row that has no id is refused: those after it cannot be known", () => {
  const body = Buffer.from(JSON.stringify({ ...wire, o: [["b", "1", "192.0.2.1/32", null, null, null]] }));
  assert.throws(() => decodeOrderFrame(signed(body), keys.publicKey), refusal("invalid"));
});

test("a delta whose orders do not fill its revisions is refused", () => {
  const body = Buffer.from(JSON.stringify({ ...wire, t: 2, o: [["d", 1, "192.0.2.1/32"]] }));
  assert.throws(() => decodeOrderFrame(signed(body), keys.publicKey), refusal("invalid"));
});

test("a snapshot needs a chunk number, and a delta has none", () => {
  const snapshot = Buffer.from(JSON.stringify({ ...wire, k: "snapshot", o: [] }));
  const delta = Buffer.from(JSON.stringify({ ...wire, t: 0, c: [0, 1], o: [] }));
  for (const body of [snapshot, delta]) {
    assert.throws(() => decodeOrderFrame(signed(body), keys.publicKey), refusal("invalid"));
  }
});
