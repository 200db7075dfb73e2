import { type Entries, stride } from "./entries.ts";

/** Subjects with more failures are few, or soon banned: they stay arrays. */
const entriesMax = 3;
/** Records of one chunk: up to 230 KB at a time, and never a copy of what is there. */
const chunkBits = 12;
/** An entry's host, jail and count in one number of 53 bits. Source: `hostsMax` and `jailsMax` in `state.ts`. */
const [hosts, slots, counts] = [2 ** 21, 2 ** 15, 2 ** 17] as const;
/** What ends a list of free records. */
const none = -1;

/** Where a subject's entries are: the number of a record, or the entries themselves. */
export type Place = number | Entries;

/**
 * Keeps the entries of a million subjects, most of which fail once or twice: as arrays they take 90 to 120 bytes each on
 * V8's heap, are moved and marked there again and again, and leave as much behind when they grow; as records 24 to 56
 * outside of it. Whoever gets entries gets a copy, and puts it back when it has changed.
 */
export class EntryStore {
  /** By how many entries a record has. */
  readonly #records = Array.from({ length: entriesMax + 1 }, (_, count) => new Records(1 + 2 * count));

  get(place: Place): Entries {
    if (typeof place !== "number") return place;
    const [count, data, at] = this.#find(place);
    const entries = [data[at] ?? 0];
    for (let index = at + 1; index <= at + 2 * count; index += 2) {
      const packed = data[index + 1] ?? 0;
      const rest = packed % (slots * counts);
      entries.push(data[index] ?? 0, Math.floor(packed / (slots * counts)), Math.floor(rest / counts), rest % counts);
    }
    return entries;
  }

  /** @param before  where they were until now; that place is free, unless it is the same */
  put(entries: Entries, before?: Place): Place {
    const count = (entries.length - 1) / stride;
    const isRecord = fits(entries, count);
    if (typeof before === "number") {
      if (isRecord && before % (entriesMax + 1) === count) {
        this.#write(before, entries);
        return before;
      }
      this.remove(before);
    }
    if (!isRecord) return entries;
    const place = (this.#records[count]?.take() ?? 0) * (entriesMax + 1) + count;
    this.#write(place, entries);
    return place;
  }

  remove(place: Place): void {
    if (typeof place !== "number") return;
    this.#records[place % (entriesMax + 1)]?.give(Math.floor(place / (entriesMax + 1)));
  }

  /** The date of the latest entry, or up to which all are settled if that is later. */
  lastMs(place: Place): number {
    if (typeof place !== "number") return Math.max(place[0] ?? 0, place.length > 1 ? (place.at(-stride) ?? 0) : 0);
    const [count, data, at] = this.#find(place);
    return Math.max(data[at] ?? 0, count === 0 ? 0 : (data[at + 2 * count - 1] ?? 0));
  }

  #write(place: number, entries: Entries): void {
    const [, data, at] = this.#find(place);
    data[at] = entries[0] ?? 0;
    let to = at + 1;
    for (let from = 1; from < entries.length; from += stride) {
      data[to] = entries[from] ?? 0;
      data[to + 1] = ((entries[from + 1] ?? 0) * slots + (entries[from + 2] ?? 0)) * counts + (entries[from + 3] ?? 0);
      to += 2;
    }
  }

  #find(place: number): [count: number, data: Float64Array, at: number] {
    const count = place % (entriesMax + 1);
    const records = this.#records[count] ?? new Records(1);
    const record = Math.floor(place / (entriesMax + 1));
    return [count, records.chunk(record), records.at(record)];
  }
}

function fits(entries: Entries, count: number): boolean {
  if (count > entriesMax) return false;
  for (let from = 1; from < entries.length; from += stride) {
    if ((entries[from + 1] ?? 0) >= hosts || (entries[from + 2] ?? 0) >= slots || (entries[from + 3] ?? 0) >= counts)
      return false;
  }
  return true;
}

/** Records of so many numbers each. A free one holds the number of the next free one. */
class Records {
  readonly #width: number;
  readonly #chunks: Float64Array[] = [];
  #made = 0;
  #free = none;

  constructor(width: number) {
    this.#width = width;
  }

  chunk(record: number): Float64Array {
    return this.#chunks[record >> chunkBits] ?? new Float64Array();
  }

  at(record: number): number {
    return (record & ((1 << chunkBits) - 1)) * this.#width;
  }

  take(): number {
    if (this.#free !== none) {
      const record = this.#free;
      this.#free = this.chunk(record)[this.at(record)] ?? none;
      return record;
    }
    const record = this.#made;
    this.#made += 1;
    if (record >> chunkBits === this.#chunks.length) this.#chunks.push(new Float64Array(this.#width << chunkBits));
    return record;
  }

  give(record: number): void {
    this.chunk(record)[this.at(record)] = this.#free;
    this.#free = record;
  }
}
