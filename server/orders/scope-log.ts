import type { Order } from "../../shared/order.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";

/** Consecutive orders of one scope's log: `orders[i]` has revision `from + i + 1`. Revisions start at 1, without gaps. */
export type OrderStretch = Readonly<{ from: number; orders: readonly Order[] }>;

/** Recent orders kept to bring agents up to date without a snapshot: 10 MB of memory, hours of a busy fleet. */
export const recentOrdersMax = 20_000;

/** Everything that stands at one revision, cut for sending. */
export type Snapshot = Readonly<{ revision: number; hash: string; standing: readonly Standing[]; madeMs: number }>;

/** One scope's log as the publisher knows it: what stands, and the way there over the last orders. Pure state. */
export class ScopeLog {
  readonly #set = new OrderSet();
  /** The orders of revisions `#set.revision - #recent.length + 1` to `#set.revision`. */
  #recent: Order[] = [];

  get revision(): number {
    return this.#set.revision;
  }

  get hash(): string {
    return this.#set.hash;
  }

  get size(): number {
    return this.#set.size;
  }

  /** @param recent  orders that lead up to `revision`, or beyond; undefined when they are not known */
  load(revision: number, standing: Iterable<Standing>, recent: OrderStretch | undefined): void {
    this.#set.replace(standing, revision);
    const orders = recent?.orders.slice(0, Math.max(0, revision - recent.from)) ?? [];
    this.#recent = recent !== undefined && recent.from + orders.length === revision ? orders : [];
  }

  /** Takes what is new of the stretch. @returns false when orders before it are missing; nothing of it is then taken */
  append({ from, orders }: OrderStretch): boolean {
    if (from > this.#set.revision) return false;
    for (const order of orders.slice(this.#set.revision - from)) {
      this.#set.apply(order, this.#set.revision + 1);
      this.#recent.push(order);
    }
    // Cut in steps: shifting one element off a long array for each order would cost more than the order.
    if (this.#recent.length > recentOrdersMax * 1.1) this.#recent = this.#recent.slice(-recentOrdersMax);
    return true;
  }

  /** The orders after `revision`; undefined when a snapshot is needed, or is shorter. */
  since(revision: number): readonly Order[] | undefined {
    const missing = this.#set.revision - revision;
    if (missing < 0 || missing > this.#recent.length) return undefined;
    const snapshotIsShorter = missing > 1000 && missing > this.#set.size;
    return snapshotIsShorter ? undefined : this.#recent.slice(this.#recent.length - missing);
  }

  /** By id, which is the order they were made in: ids and times then differ little from row to row and pack well. */
  snapshot(nowMs: number): Snapshot {
    const standing = [...this.#set.entries()].sort((one, other) => one.id - other.id);
    return { revision: this.#set.revision, hash: this.#set.hash, standing, madeMs: nowMs };
  }
}
