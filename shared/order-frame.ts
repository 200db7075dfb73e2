import { createHash, type KeyObject, sign, verify } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { isNet } from "./address.ts";
import { Fleet2banError } from "./errors.ts";
import { type BanOrder, levelMax, type Order, OrderWire, type Scope, ScopeWire } from "./order.ts";
import * as shape from "./shape.ts";

/** Orders of one frame; a longer stretch of the log is sent as several, a longer snapshot as chunks. */
export const frameOrdersMax = 4000;
/** A frame as sent: a quarter of nats-server's own limit, so that one frame never fills a slow reader's buffer. */
export const frameBytesMax = 256 * 1024;
/** A frame as unpacked: 4000 orders of at most 300 bytes. More is an attack, whoever signed it. */
const bodyBytesMax = 2 * 1024 * 1024;
/** Shorter bodies gain nothing from being packed. */
const packFromBytes = 1024;
const signatureBytes = 64;
const encodingPlain = 0;
const encodingDeflate = 1;
/** Names what is signed, so that a signature made for one purpose is worth nothing for another. */
const purpose = Buffer.from("fleet2ban orders 1\0");

/**
 * What a coordinator says about one scope. Signed, so that neither an agent nor whoever runs the bus can speak for it.
 *
 * - `delta`: the orders after revision `from`, up to and including `to`, one per revision. With `from` = `to` it
 *   is a heartbeat: the log ends there, and whoever has not got there asks.
 * - `snapshot`: chunk `index` of `count` of what stands at revision `to`.
 *
 * `hash` is `OrderSet.hash` at `to`, null when more frames of the same stretch follow. `epoch` names one life of the order log and only ever grows; a new one follows when
 * the log was rewound (a restored backup), and everybody starts again from a snapshot.
 */
export type OrderFrame = Readonly<{
  kind: "delta" | "snapshot";
  scope: Scope;
  epoch: number;
  from: number;
  to: number;
  hash: string | null;
  orders: readonly Order[];
  /** Coordinator's clock when it was made. */
  atMs: number;
  /**
   * Only in a host's own scope: whether it keeps its scopes' bans without carrying them out. Absent: as before. Of two
   * frames of one epoch the later one counts, whatever their revisions.
   */
  observe?: boolean;
  /** Over this span agents spread their answers to this frame, so that ten thousand do not speak at once. */
  spreadMs: number;
  chunk: Readonly<{ index: number; count: number }> | null;
}>;

/**
 * An order in its place in the log that the reader cannot carry out, because a newer coordinator, or one with a bug, sent
 * it. It stops nothing but itself.
 */
export type UnusableOrder = Readonly<{ kind: "unusable"; id: number; net: string; why: string }>;
export type ReceivedFrame = Omit<OrderFrame, "orders"> & Readonly<{ orders: readonly (Order | UnusableOrder)[] }>;

const nullableSeconds = shape.nullable(shape.int());
const ports = shape.nullable(shape.array(shape.int()));

/** Ids and times are differences from the row before (times in ms), which packs to a third of the plain form. */
const row = shape.union([
  shape.tuple([shape.literal("b"), shape.int(), shape.string(), nullableSeconds, ports, shape.nullable(shape.int())]),
  shape.tuple([shape.literal("u"), shape.int(), shape.string(), shape.string()]),
  shape.tuple([shape.literal("a"), shape.int(), shape.string(), nullableSeconds]),
  shape.tuple([shape.literal("n"), shape.int(), shape.string(), nullableSeconds]),
  shape.tuple([shape.literal("d"), shape.int(), shape.string()]),
]);
type Row = shape.infer<typeof row>;
/** Whatever it says, its id is needed for those after it. */
const anyRow = shape.tuple([shape.string(), shape.int()], shape.unknown());
type AnyRow = shape.infer<typeof anyRow>;

const count = shape.int().check(shape.nonnegative());
const positive = shape.int().check(shape.positive());

const BodyWire = shape.object({
  v: shape.literal(1),
  k: shape.enum(["delta", "snapshot"]),
  s: ScopeWire,
  e: positive,
  f: count,
  t: count,
  h: shape.nullable(shape.string().check(shape.regex(/^[0-9a-f]{16}$/))),
  at: count,
  sp: count.check(shape.maximum(60_000)),
  c: shape.nullable(shape.tuple([count, positive])),
  ob: shape.exactOptional(shape.boolean()),
  o: shape.array(anyRow).check(shape.maxLength(frameOrdersMax)),
});

/** One byte of encoding, 64 of Ed25519 signature over encoding and body, the body. */
export function encodeOrderFrame(frame: OrderFrame, signingKey: KeyObject): Buffer {
  const wire: shape.infer<typeof BodyWire> = {
    v: 1,
    k: frame.kind,
    s: frame.scope,
    e: frame.epoch,
    f: frame.from,
    t: frame.to,
    h: frame.hash,
    at: frame.atMs,
    sp: frame.spreadMs,
    c: frame.chunk === null ? null : [frame.chunk.index, frame.chunk.count],
    ...(frame.observe === undefined ? {} : { ob: frame.observe }),
    o: toRows(frame.orders),
  };
  const plain = Buffer.from(JSON.stringify(wire));
  const packed = plain.length >= packFromBytes;
  const encoding = Buffer.of(packed ? encodingDeflate : encodingPlain);
  const body = packed ? deflateRawSync(plain) : plain;
  return Buffer.concat([encoding, sign(null, toSign(encoding, body), signingKey), body]);
}

/**
 * Reads a frame. Nothing of it is unpacked or parsed before its signature has been found good.
 *
 * @throws Fleet2banError `forbidden` when the signature is not the coordinator's, `invalid` when the body is not a frame
 */
export function decodeOrderFrame(payload: Uint8Array, verifyingKey: KeyObject): ReceivedFrame {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const encoding = bytes.subarray(0, 1);
  const signature = bytes.subarray(1, 1 + signatureBytes);
  const body = bytes.subarray(1 + signatureBytes);
  if (signature.length < signatureBytes || !verify(null, toSign(encoding, body), verifyingKey, signature)) {
    throw new Fleet2banError("forbidden", "order frame: not signed by the coordinator this agent enrolled with");
  }
  let value: unknown;
  try {
    const plain = encoding[0] === encodingDeflate ? inflateRawSync(body, { maxOutputLength: bodyBytesMax }) : body;
    value = JSON.parse(plain.toString("utf8"));
  } catch (cause) {
    throw new Fleet2banError("invalid", "order frame: not readable; is the coordinator much newer?", { cause });
  }
  const read = BodyWire.safeParse(value);
  if (!read.success) throw new Fleet2banError("invalid", `order frame: ${read.error.message}`);
  const wire = read.data;
  const orders = fromRows(wire.o);
  if (wire.k === "delta" && orders.length !== wire.t - wire.f) {
    throw new Fleet2banError("invalid", `order frame: ${orders.length} orders for revisions ${wire.f} to ${wire.t}`);
  }
  const chunk = wire.c === null ? null : { index: wire.c[0], count: wire.c[1] };
  if ((wire.k === "snapshot") !== (chunk !== null) || (chunk !== null && chunk.index >= chunk.count)) {
    throw new Fleet2banError("invalid", "order frame: a snapshot, and only a snapshot, has a chunk number");
  }
  const { k: kind, s, e: epoch, f: from, t: to, h: hash, at: atMs, sp: spreadMs } = wire;
  const observe = wire.ob === undefined || !s.startsWith("host:") ? {} : { observe: wire.ob };
  return { kind, scope: s, epoch, from, to, hash, orders, atMs, spreadMs, chunk, ...observe };
}

/** Short name of a signing key, to say in a log which one was expected. */
export function keyFingerprint(publicKeyDer: Uint8Array): string {
  return createHash("sha256").update(publicKeyDer).digest("hex").slice(0, 16);
}

function toSign(encoding: Uint8Array, body: Uint8Array): Buffer {
  return Buffer.concat([purpose, encoding, body]);
}

function toRows(orders: readonly Order[]): Row[] {
  let lastId = 0;
  let lastUntilMs = 0;
  const untilOf = (untilMs: number | null) => {
    if (untilMs === null) return null;
    const difference = untilMs - lastUntilMs;
    lastUntilMs = untilMs;
    return difference;
  };
  return orders.map((order): Row => {
    const id = order.id - lastId;
    lastId = order.id;
    if (order.kind === "ban") {
      const portList = order.ports === null ? null : [...order.ports];
      return ["b", id, order.net, untilOf(order.untilMs), portList, order.level];
    }
    if (order.kind === "unban") return ["u", id, order.net, order.reason];
    if (order.kind === "allow") return [order.never === true ? "n" : "a", id, order.net, untilOf(order.untilMs)];
    return ["d", id, order.net];
  });
}

/** As reports carry them. */
const reasonLengthMax = 200;
const netLengthMax = 49;

/**
 * Each row becomes an order through `OrderWire`, so that nothing but the closed list of verbs can come out. Nearly all
 * rows are bans, and a snapshot holds a hundred thousand: those go by the same rules without the schema's machinery.
 */
function fromRows(rows: readonly AnyRow[]): (Order | UnusableOrder)[] {
  let lastId = 0;
  let lastUntilMs = 0;
  const untilOf = (difference: unknown) => {
    if (typeof difference !== "number") return null;
    lastUntilMs += difference;
    return lastUntilMs;
  };
  return rows.map((each) => {
    lastId += each[1];
    const untilMs = each[0] === "b" || each[0] === "a" || each[0] === "n" ? untilOf(each[3]) : null;
    const ban = plainBan(each, lastId, untilMs);
    if (ban !== undefined) return ban;
    const known = row.safeParse(each);
    const read = known.success ? OrderWire.safeParse(wireOf(known.data, lastId, untilMs)) : undefined;
    if (read?.success === true) return read.data;
    const why = read === undefined ? `an order of the kind ${each[0].slice(0, 16)}` : read.error.message;
    const net = typeof each[2] === "string" ? each[2].slice(0, netLengthMax) : "";
    return { kind: "unusable", id: Math.max(0, lastId), net, why: `cannot be read: ${why}`.slice(0, reasonLengthMax) };
  });
}

/** A ban as `OrderWire` would read it; undefined for everything else, and whenever in doubt. */
function plainBan(each: AnyRow, id: number, untilMs: number | null): BanOrder | undefined {
  if (each.length !== 6 || each[0] !== "b" || !Number.isSafeInteger(id) || id < 1) return undefined;
  const [, , net, difference, portList, level] = each;
  const hasEnd = untilMs !== null && Number.isSafeInteger(difference) && Number.isSafeInteger(untilMs) && untilMs > 0;
  if (!hasEnd && difference !== null) return undefined;
  if (typeof net !== "string" || net.length > netLengthMax || !isNet(net)) return undefined;
  // Few bans name ports; the schema may read those.
  if (portList !== null || !(level === null || isLevel(level))) return undefined;
  return { kind: "ban", id, net, untilMs, ports: null, level };
}

function isLevel(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= levelMax;
}

function wireOf(each: Row, id: number, untilMs: number | null): object {
  const common = { id, net: each[2] };
  if (each[0] === "b") return { kind: "ban", ...common, untilMs, ports: each[4], level: each[5] };
  if (each[0] === "u") return { kind: "unban", ...common, reason: each[3] };
  if (each[0] === "a") return { kind: "allow", ...common, untilMs };
  if (each[0] === "n") return { kind: "allow", ...common, untilMs, never: true };
  return { kind: "disallow", ...common };
}
