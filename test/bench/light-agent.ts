import type { KeyObject } from "node:crypto";
import { snapshotPartsMax } from "../../shared/fleet-messages.ts";
import type { Scope } from "../../shared/order.ts";
import { decodeOrderFrame, type ReceivedFrame } from "../../shared/order-frame.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";
import { nameOf } from "./nats-line.ts";

/** A frame, and what all of its orders together do to the hash of a set. */
type SharedFrame = Readonly<{ frame: ReceivedFrame; high: number; low: number }>;

const framesMax = 5_000;

/**
 * What agents of one process have in common: a frame's signature is checked, its orders are read and hashed once, and
 * every agent has the result. A hundred thousand bans times ten thousand agents do not fit into one machine.
 */
export class SharedFrames {
  readonly #key: KeyObject;
  readonly #frames = new Map<string, SharedFrame>();
  /** Every order that was ever added, by what names it. */
  readonly #added = new Map<string, Standing>();

  constructor(key: KeyObject) {
    this.#key = key;
  }

  read(payload: Buffer): SharedFrame {
    const name = nameOf(payload);
    const known = this.#frames.get(name);
    if (known !== undefined) return known;
    const frame = decodeOrderFrame(payload, this.#key);
    const moved = frame.orders.map((order) => this.#standingOf(order));
    if (this.#frames.size > framesMax) this.#frames.clear();
    const shared = { frame, ...hashOf(moved) };
    this.#frames.set(name, shared);
    return shared;
  }

  /** What the order adds or takes away. */
  #standingOf(order: ReceivedFrame["orders"][number]): Standing {
    if (order.kind === "unusable") throw new Error(`bench: ${order.why}`);
    if (order.kind === "ban" || order.kind === "allow") {
      this.#added.set(`${order.kind} ${order.id}`, order);
      return order;
    }
    const added = this.#added.get(`${order.kind === "unban" ? "ban" : "allow"} ${order.id}`);
    if (added === undefined) throw new Error(`bench: ${order.kind} ${order.id} of nothing that was ordered`);
    return added;
  }
}

/** What adding or taking away all of them does to the hash of a set. */
function hashOf(orders: readonly Standing[]): Readonly<{ high: number; low: number }> {
  const set = new OrderSet();
  set.replace(orders, 1);
  return { high: Number.parseInt(set.hash.slice(0, 8), 16), low: Number.parseInt(set.hash.slice(8), 16) };
}

const hex = (value: number) => value.toString(16).padStart(8, "0");

/** One scope as `ScopeState` follows it, with a hash in place of the set. */
export class LightScope {
  readonly scope: Scope;
  epoch = 0;
  revision = 0;
  inSync = false;
  #high = 0;
  #low = 0;
  #damaged = false;
  #part: { epoch: number; revision: number; next: number; count: number; high: number; low: number } | undefined;

  constructor(scope: Scope) {
    this.scope = scope;
  }

  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  restore(epoch: number, revision: number, hash: string): void {
    this.epoch = epoch;
    this.revision = revision;
    this.#high = Number.parseInt(hash.slice(0, 8), 16);
    this.#low = Number.parseInt(hash.slice(8), 16);
  }

  doubt(): void {
    this.inSync = false;
  }

  position() {
    const { scope, epoch, revision } = this;
    const chunk = this.#part && { epoch: this.#part.epoch, revision: this.#part.revision, index: this.#part.next };
    return {
      scope,
      epoch,
      revision,
      hash: this.hash,
      ...(this.#damaged ? { damaged: true } : {}),
      ...(chunk === undefined ? {} : { chunk }),
    };
  }

  confirm(epoch: number, revision: number): void {
    if (this.#damaged || epoch !== this.epoch || revision !== this.revision) return;
    this.inSync = true;
    this.#part = undefined;
  }

  /** @returns as `FrameOutcome`: whether to ask again, and whether anything changed */
  take({ frame, high, low }: SharedFrame): Readonly<{ ask: "no" | "soon" | "now" | "wait"; changed: boolean }> {
    if (frame.epoch < this.epoch) return { ask: "no", changed: false };
    if (frame.kind === "snapshot") return this.#takeChunk(frame, high, low);
    if (frame.epoch === this.epoch && frame.to < this.revision) return { ask: "no", changed: false };
    if (this.#damaged || frame.epoch > this.epoch || frame.from > this.revision) {
      this.inSync = false;
      return { ask: this.#part === undefined ? "soon" : "no", changed: false };
    }
    // Frames overlap only when they are repeated, and then wholly.
    const fresh = frame.from === this.revision && frame.to > this.revision;
    if (!fresh && frame.to > this.revision) {
      this.#damaged = true;
      return { ask: "soon", changed: false };
    }
    if (fresh) this.#toggle(high, low);
    this.revision = frame.to;
    if (frame.hash === null) return { ask: "no", changed: fresh };
    this.inSync = frame.hash === this.hash;
    this.#damaged = !this.inSync;
    this.#part = undefined;
    return { ask: this.#damaged ? "soon" : "no", changed: fresh };
  }

  #takeChunk(frame: ReceivedFrame, high: number, low: number) {
    const { index, count } = frame.chunk ?? { index: 0, count: 1 };
    if (frame.epoch === this.epoch && frame.to < this.revision) return { ask: "no", changed: false } as const;
    if (index === 0) this.#part = { epoch: frame.epoch, revision: frame.to, next: 0, count, high: 0, low: 0 };
    const part = this.#part;
    if (part === undefined || part.revision !== frame.to || part.epoch !== frame.epoch || part.next !== index) {
      return { ask: "no", changed: false } as const;
    }
    part.high = (part.high ^ high) >>> 0;
    part.low = (part.low ^ low) >>> 0;
    part.next += 1;
    if (part.next < count) {
      return { ask: part.next % snapshotPartsMax === 0 ? "now" : "wait", changed: false } as const;
    }
    this.#part = undefined;
    if (hex(part.high) + hex(part.low) !== frame.hash) return { ask: "soon", changed: false } as const;
    this.epoch = frame.epoch;
    this.revision = frame.to;
    this.#high = part.high;
    this.#low = part.low;
    this.#damaged = false;
    this.inSync = true;
    return { ask: "no", changed: true } as const;
  }

  #toggle(high: number, low: number): void {
    this.#high = (this.#high ^ high) >>> 0;
    this.#low = (this.#low ^ low) >>> 0;
  }
}
