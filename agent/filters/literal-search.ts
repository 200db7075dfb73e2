import { everyday } from "./everyday.ts";
import type { Literal } from "./required-literals.ts";

/** A literal and the filters that want it, one bit each. */
export type WantedLiteral = Readonly<{ literal: Literal; filters: number }>;

/** Bytes that are searched, and a view that reads four of them at once. */
export type SearchedBytes = Readonly<{ bytes: Buffer; words: DataView }>;

/** A literal as bytes. `at`: where in it the word begins that it was found by. */
type Entry = Readonly<{ bytes: Uint8Array; caseBits: Uint8Array; filters: number; at: number }>;

/** A literal that is sought by itself. `next`: where it stands next in what was searched last, from `from` on. */
type Alone = Readonly<{ text: Buffer; filters: number }> & {
  searched: SearchedBytes | null;
  from: number;
  next: number;
};

/** Sets a letter to lower case. Words are compared like that, so that one table serves literals of any case too. */
const lowerCase = 0x20;
const lowerCaseWord = 0x20202020;
/** Slots of the table: few enough to stay in the processor's nearest cache. Words that may fill them. */
const tableBits = 14;
const wordsMax = 2048;
/** Literals that may be sought by themselves, and what that costs, where looking each word up costs 1. */
const aloneMax = 2;
const aloneCost = 0.1;
/** Odd and without a pattern: multiplied by it, a word's upper bits depend on all of its bits. */
const spreader = 0x9e3779b1;

/**
 * Finds any of many literals in bytes without looking at each byte. A literal of n bytes covers n - 3 neighbouring
 * words of four whole, so it is enough to look every (n - 3)th word up among the words of all literals. A word found in
 * vain costs as much as ten others, hence `everyday`. Against one regex of all literals, with the lines cut out, a line
 * takes as long with 17 of them, two thirds with 37 and a third with 143 (0.5 instead of 1.5 µs on the same machine).
 * The shortest literal decides n for all. One that begins with a rare character is sought by itself: `indexOf` takes
 * less time for it than the others lose.
 */
export class LiteralSearch {
  /** Of the last find: the filters that want what was found there. */
  filters = 0;
  /** Bytes of a word: four, or three if some literal has hardly more. */
  readonly #wordBytes: number;
  readonly #wordMask: number;
  readonly #stride: number;
  /** By the hash of a word: the number of its bucket, 0 = none. Bytes, so that it fits: words beyond 255 share. */
  readonly #table = new Uint8Array(2 ** tableBits);
  readonly #alone: readonly Alone[];
  readonly #buckets: readonly Entry[][] = Array.from({ length: 256 }, () => []);
  #words = 0;

  /** @param wanted  at least one, each of three bytes or more of ASCII without newline */
  constructor(wanted: readonly WantedLiteral[]) {
    const { alone, together } = divide(wanted);
    this.#alone = alone.map(({ literal, filters }) => {
      return { text: Buffer.from(literal.text, "latin1"), filters, searched: null, from: 0, next: -1 };
    });
    ({ wordBytes: this.#wordBytes, stride: this.#stride } = stepsOf(together));
    this.#wordMask = this.#wordBytes === 4 ? -1 : 0xffffff;
    const common = new Map<number, number>();
    for (const word of this.#wordsOf(Buffer.from(everyday))) common.set(word, (common.get(word) ?? 0) + 1);
    for (const each of together) this.#add(each, common);
  }

  /**
   * Where the next literal was found: somewhere inside of it. -1 when there is none in a word that begins before `to`.
   *
   * @param known  filters whose literals are no longer sought
   */
  next(searched: SearchedBytes, from: number, to: number, known = 0): number {
    if (this.#alone.length === 0) return this.#nextTogether(searched, from, to, known);
    let nearest = to;
    for (const each of this.#alone) {
      if ((each.filters & ~known) !== 0) nearest = Math.min(nearest, nextOf(each, searched, from));
    }
    // Up to there and no further: what begins behind it is found when the search goes on.
    const found = this.#nextTogether(searched, from, Math.min(to, nearest + 1), known);
    if (nearest === to || (found >= 0 && found < nearest)) return found;
    if (found < 0) this.filters = 0;
    for (const each of this.#alone) {
      if ((each.filters & ~known) !== 0 && each.next === nearest) this.filters |= each.filters;
    }
    return nearest;
  }

  #nextTogether(searched: SearchedBytes, from: number, to: number, known: number): number {
    const [table, mask, stride, words] = [this.#table, this.#wordMask, this.#stride, searched.words];
    const { length } = searched.bytes;
    const whole = Math.min(to, length - 3);
    let at = from;
    for (; at < whole; at += stride) {
      const word = (words.getInt32(at, true) | lowerCaseWord) & mask;
      const bucket = table[Math.imul(word, spreader) >>> (32 - tableBits)];
      if (bucket !== undefined && bucket !== 0 && this.#isFound(searched.bytes, at, bucket, known)) return at;
    }
    // A word of three at the very end: of a last line without its newline.
    if (at >= to || at + this.#wordBytes !== length) return -1;
    const word = (words.getUint16(at, true) | (words.getUint8(at + 2) << 16) | lowerCaseWord) & mask;
    return this.#isFound(searched.bytes, at, this.#table[slotOf(word)] ?? 0, known) ? at : -1;
  }

  #add({ literal, filters }: WantedLiteral, common: ReadonlyMap<number, number>): void {
    const text = Buffer.from(literal.text, "latin1");
    const caseBits = text.map((code) => (literal.ignoreCase && isLetter(code) ? lowerCase : 0));
    const bytes = text.map((code, index) => code | (caseBits[index] ?? 0));
    const words = this.#wordsOf(text);
    const costs = words.map((_, start) =>
      words.slice(start, start + this.#stride).reduce((sum, word) => sum + (common.get(word) ?? 0), 0),
    );
    const windows = costs.slice(0, words.length - this.#stride + 1);
    const best = windows.indexOf(Math.min(...windows));
    for (let at = best; at < best + this.#stride; at += 1) {
      const slot = slotOf(words[at] ?? 0);
      const bucket = this.#table[slot] || 1 + (this.#words % 255);
      this.#words += 1;
      this.#table[slot] = bucket;
      this.#buckets[bucket]?.push({ bytes, caseBits, filters, at });
    }
  }

  #wordsOf(text: Buffer): readonly number[] {
    const count = text.length - this.#wordBytes + 1;
    return Array.from(
      { length: count },
      (_, at) => (text.readUIntLE(at, this.#wordBytes) | lowerCaseWord) & this.#wordMask,
    );
  }

  #isFound(bytes: Uint8Array, at: number, bucket: number, known: number): boolean {
    let filters = 0;
    for (const entry of this.#buckets[bucket] ?? []) {
      if ((entry.filters & ~known) !== 0 && stands(entry, bytes, at - entry.at)) filters |= entry.filters;
    }
    this.filters = filters;
    return filters !== 0;
  }
}

/** The shortest literals apart, as far as the others gain more by it than the search for these costs. */
function divide(wanted: readonly WantedLiteral[]) {
  const sorted = wanted.toSorted((one, other) => one.literal.text.length - other.literal.text.length);
  const usual = sorted.findIndex(({ literal }) => literal.ignoreCase || everyday.includes(literal.text.charAt(0)));
  const most = Math.min(aloneMax, sorted.length - 1, usual < 0 ? sorted.length : usual);
  const costs = Array.from(
    { length: most + 1 },
    (_, count) => count * aloneCost + 1 / stepsOf(sorted.slice(count)).stride,
  );
  const count = costs.indexOf(Math.min(...costs));
  return { alone: sorted.slice(0, count), together: sorted.slice(count) };
}

/** How the words of these literals are looked for. */
function stepsOf(wanted: readonly WantedLiteral[]) {
  const shortest = Math.min(...wanted.map(({ literal }) => literal.text.length));
  const wordBytes = shortest > 4 ? 4 : 3;
  const strideMax = Math.max(1, Math.floor(wordsMax / wanted.length));
  return { wordBytes, stride: Math.min(shortest - wordBytes + 1, strideMax) };
}

/** Where it stands at `from` or later, infinity when nowhere: looked for once until that place is passed. */
function nextOf(each: Alone, searched: SearchedBytes, from: number): number {
  if (each.searched === searched && each.from <= from && from <= each.next) return each.next;
  const next = searched.bytes.indexOf(each.text, from);
  each.searched = searched;
  each.from = from;
  each.next = next < 0 ? Number.POSITIVE_INFINITY : next;
  return each.next;
}

function slotOf(word: number): number {
  return Math.imul(word, spreader) >>> (32 - tableBits);
}

function stands({ bytes, caseBits }: Entry, searched: Uint8Array, start: number): boolean {
  if (start < 0) return false;
  for (let index = 0; index < bytes.length; index += 1) {
    // Beyond the end there is nothing, which is no byte of a literal either.
    if (((searched[start + index] ?? 0) | (caseBits[index] ?? 0)) !== bytes[index]) return false;
  }
  return true;
}

function isLetter(code: number): boolean {
  const lower = code | lowerCase;
  return lower >= 97 && lower <= 122;
}
