import { snapshotPartsMax } from "../../shared/fleet-messages.ts";
import type { Order, Scope } from "../../shared/order.ts";
import type { ReceivedFrame, UnusableOrder } from "../../shared/order-frame.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";

/** What a frame changed, and what is still missing. */
export type FrameOutcome = Readonly<{
  /** In the order they are to be carried out. */
  orders: readonly Order[];
  /** Orders that stand and cannot be carried out here. */
  unusable: readonly UnusableOrder[];
  /** `snapshot`: the store's copy is to be replaced; `delta`: `orders` are to be added to it. */
  saved: "nothing" | "delta" | "snapshot";
  /**
   * Whether to ask the coordinator: `now` for the next parts of a snapshot, `soon` for a gap everybody may have; `wait`
   * for the next part, which is on its way.
   */
  ask: "no" | "soon" | "now" | "wait";
  /** Why it was not followed, for the log; null when it was. */
  ignored: string | null;
}>;

/** Chunks of a snapshot hold 4000 orders each: a million bans, ten times a large fleet's. */
const chunksMax = 250;

type Assembly = {
  epoch: number;
  revision: number;
  hash: string | null;
  count: number;
  standing: Standing[];
  unusable: UnusableOrder[];
  next: number;
};

/**
 * One scope as this agent follows it. Pure: frames in, orders and wishes out. Whatever frames are lost, repeated or
 * swapped, it ends with the coordinator's set or knows that it has not.
 */
export class ScopeState {
  readonly scope: Scope;
  #set = new OrderSet();
  #epoch = 0;
  #assembly: Assembly | undefined;
  #damaged = false;
  /** Ids of what stands and cannot be carried out here. While there is any, our hash cannot be the coordinator's. */
  #unusable = new Set<number>();
  /** The last word was that nothing is missing. */
  #inSync = false;

  constructor(scope: Scope) {
    this.scope = scope;
  }

  get set(): OrderSet {
    return this.#set;
  }

  /** 0 = nothing yet. */
  get epoch(): number {
    return this.#epoch;
  }

  get inSync(): boolean {
    return this.#inSync;
  }

  /** The part of a snapshot that is awaited now. */
  get awaited(): Readonly<{ epoch: number; revision: number; index: number }> | undefined {
    if (this.#assembly === undefined) return undefined;
    const { epoch, revision, next: index } = this.#assembly;
    return { epoch, revision, index };
  }

  /** The set is not what its revision says; only a snapshot helps. */
  get damaged(): boolean {
    return this.#damaged;
  }

  restore(epoch: number, revision: number, standing: Iterable<Standing>): void {
    this.#epoch = epoch;
    this.set.replace(standing, revision);
  }

  /** A gap is possible: nothing is certain until the coordinator has answered. What has come of a snapshot is kept. */
  doubt(): void {
    this.#inSync = false;
  }

  /** The coordinator has nothing more than this. */
  confirm(epoch: number, revision: number): void {
    if (this.#damaged || epoch !== this.#epoch || revision !== this.set.revision) return;
    this.#inSync = true;
    this.#assembly = undefined;
  }

  take(frame: ReceivedFrame, nowMs: number): FrameOutcome {
    if (frame.epoch < this.#epoch) return ignoring("of an earlier life of the order log: a replay");
    return frame.kind === "snapshot" ? this.#takeChunk(frame, nowMs) : this.#takeDelta(frame);
  }

  #takeDelta(frame: ReceivedFrame): FrameOutcome {
    if (frame.epoch === this.#epoch && frame.to < this.set.revision) return ignoring(null);
    if (this.#damaged || frame.epoch > this.#epoch || frame.from > this.set.revision) {
      this.#inSync = false;
      // While a snapshot is being fetched its own parts are what to ask for.
      return this.#assembly === undefined ? nothing("soon") : nothing("no");
    }
    const { orders, unusable } = this.#apply(frame.orders.slice(this.set.revision - frame.from));
    const saved = orders.length + unusable.length > 0 ? "delta" : "nothing";
    if (frame.hash === null) return { orders, unusable, saved, ask: "no", ignored: null };
    this.#inSync = frame.hash === this.set.hash || this.#unusable.size > 0;
    this.#damaged = !this.#inSync;
    this.#assembly = undefined;
    return { orders, unusable, saved, ask: this.#damaged ? "soon" : "no", ignored: null };
  }

  #apply(received: ReceivedFrame["orders"]): Readonly<{ orders: Order[]; unusable: UnusableOrder[] }> {
    const orders: Order[] = [];
    const unusable: UnusableOrder[] = [];
    for (const order of received) {
      if (order.kind === "unusable") {
        this.set.skip(this.set.revision + 1);
        this.#unusable.add(order.id);
        unusable.push(order);
        continue;
      }
      if (order.kind === "unban" || order.kind === "disallow") this.#unusable.delete(order.id);
      this.set.apply(order, this.set.revision + 1);
      orders.push(order);
    }
    return { orders, unusable };
  }

  #takeChunk(frame: ReceivedFrame, nowMs: number): FrameOutcome {
    const { index, count } = frame.chunk ?? { index: 0, count: 0 };
    if (count > chunksMax) return ignoring("a snapshot larger than any we accept");
    if (frame.epoch === this.#epoch && frame.to < this.set.revision) return ignoring("an older snapshot: a replay");
    if (index === 0) {
      const { epoch, to: revision, hash } = frame;
      this.#assembly = { epoch, revision, hash, count, standing: [], unusable: [], next: 0 };
    }
    const assembly = this.#assembly;
    const fits =
      assembly?.epoch === frame.epoch &&
      assembly.revision === frame.to &&
      assembly.count === count &&
      assembly.next === index;
    if (!fits) return ignoring(null);
    for (const order of frame.orders) {
      if (order.kind === "ban" || order.kind === "allow") assembly.standing.push(order);
      else if (order.kind === "unusable") assembly.unusable.push(order);
    }
    assembly.next += 1;
    if (assembly.next < count) {
      this.#inSync = false;
      return nothing(assembly.next % snapshotPartsMax === 0 ? "now" : "wait");
    }
    this.#assembly = undefined;
    return this.#become(assembly, nowMs);
  }

  #become({ epoch, revision, hash, standing, unusable }: Assembly, nowMs: number): FrameOutcome {
    const wanted = new OrderSet();
    wanted.replace(standing, revision);
    if (wanted.hash !== hash && unusable.length === 0)
      return { ...nothing("soon"), ignored: "a snapshot whose hash is not its own" };
    const orders = [...removals(this.set, wanted, nowMs), ...additions(this.set, wanted)];
    this.#set = wanted;
    this.#epoch = epoch;
    this.#inSync = true;
    this.#damaged = false;
    this.#unusable = new Set(unusable.map(({ id }) => id));
    return { orders, unusable, saved: "snapshot", ask: "no", ignored: null };
  }
}

function nothing(ask: FrameOutcome["ask"]): FrameOutcome {
  return { orders: [], unusable: [], saved: "nothing", ask, ignored: null };
}

function ignoring(why: string | null): FrameOutcome {
  return { ...nothing("no"), ignored: why };
}

/**
 * What ended while we were away. Of a ban that would still run we know that somebody lifted it, so the host's own bans
 * of that net end with it; that is what `admin` says.
 */
function* removals(before: OrderSet, after: OrderSet, nowMs: number): Generator<Order> {
  for (const { kind, id, net, untilMs } of before.entries()) {
    if (after.get(kind, id) !== undefined) continue;
    if (kind === "allow") yield { kind: "disallow", id, net };
    else yield { kind: "unban", id, net, reason: untilMs !== null && untilMs <= nowMs ? "expired" : "admin" };
  }
}

function* additions(before: OrderSet, after: OrderSet): Generator<Order> {
  for (const order of after.entries()) {
    const known = before.get(order.kind, order.id);
    if (known === undefined || JSON.stringify(known) !== JSON.stringify(order)) yield order;
  }
}
