import type { AllowOrder, BanOrder, Order } from "./order.ts";

/** What stands: a ban or an allow that no later order has taken back. */
export type Standing = BanOrder | AllowOrder;

/**
 * The standing orders of one scope, as both sides derive them from the scope's order log. Time plays no part: a ban ends
 * here when its `unban` comes, so two sides at the same revision hold the same set and the same hash whatever their
 * clocks say. (The firewall's own timeouts end bans on time.)
 */
export class OrderSet {
  readonly #standing = new Map<string, Standing>();
  #hashHigh = 0;
  #hashLow = 0;
  #revision = 0;

  get size(): number {
    return this.#standing.size;
  }

  /** Position in the scope's log: every order up to it is in. 0 = before the first. */
  get revision(): number {
    return this.#revision;
  }

  /** 64 bits as 16 hex digits: the xor of all members' hashes, kept while they come and go. */
  get hash(): string {
    return hex32(this.#hashHigh) + hex32(this.#hashLow);
  }

  /**
   * Applies the order at `revision`. One that is already in is ignored, so repeats are harmless.
   *
   * @returns whether anything was applied; false also when orders before it are missing
   */
  apply(order: Order, revision: number): boolean {
    if (revision !== this.#revision + 1) return false;
    this.#revision = revision;
    if (order.kind === "ban" || order.kind === "allow") this.#add(order);
    else this.#remove(order.kind === "unban" ? `ban ${order.id}` : `allow ${order.id}`);
    return true;
  }

  /** Passes the order at `revision` by, as one that cannot be carried out here. */
  skip(revision: number): void {
    if (revision === this.#revision + 1) this.#revision = revision;
  }

  /** Becomes exactly what a snapshot at `revision` says. */
  replace(standing: Iterable<Standing>, revision: number): void {
    this.#standing.clear();
    this.#hashHigh = 0;
    this.#hashLow = 0;
    for (const each of standing) this.#add(each);
    this.#revision = revision;
  }

  get(kind: Standing["kind"], id: number): Standing | undefined {
    return this.#standing.get(`${kind} ${id}`);
  }

  entries(): IterableIterator<Standing> {
    return this.#standing.values();
  }

  #add(order: Standing): void {
    const key = `${order.kind} ${order.id}`;
    this.#remove(key);
    this.#standing.set(key, order);
    this.#toggle(order);
  }

  #remove(key: string): void {
    const known = this.#standing.get(key);
    if (known === undefined) return;
    this.#standing.delete(key);
    this.#toggle(known);
  }

  #toggle(order: Standing): void {
    const [high, low] = hashOf(order);
    this.#hashHigh = (this.#hashHigh ^ high) >>> 0;
    this.#hashLow = (this.#hashLow ^ low) >>> 0;
  }
}

/**
 * Two different 32-bit multiplicative hashes over the order's canonical text. It finds lost and damaged orders; it is no
 * protection against a forger, which is what the frames' signatures are for.
 */
function hashOf(order: Standing): readonly [number, number] {
  const text = `${order.kind} ${order.id} ${order.net} ${order.untilMs} ${detailOf(order)}`;
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return [high >>> 0, low >>> 0];
}

function detailOf(order: Standing): string {
  if (order.kind === "allow") return order.never === true ? "never" : "";
  return `${order.ports === null ? "all" : order.ports.join(",")} ${order.level}`;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
