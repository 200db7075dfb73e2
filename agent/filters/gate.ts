import { LiteralSearch, type WantedLiteral } from "./literal-search.ts";
import type { Literal } from "./required-literals.ts";

/** Filters one gate can tell apart: one bit each, and V8 keeps 31 of them in a small integer. */
export const gateFiltersMax = 30;

const newline = 10;

/** A chunk of a log, and a view of it that reads four bytes at once. */
export type LogBytes = Readonly<{ bytes: Buffer; words: DataView }>;

/** A line that some filter must see: its bounds without the newline, and one bit per filter. */
export type GateHit = Readonly<{ start: number; end: number; filters: number }>;

/**
 * Decides which lines of a chunk of a log can mean anything to which filter, by its bytes: most lines are never cut
 * out, let alone searched.
 */
export class Gate {
  readonly #allFilters: number;
  /** Filters that must see every line. */
  readonly #always: number;
  readonly #search: LiteralSearch | null;

  /** @param literals  of each filter; null = it must see every line */
  constructor(literals: readonly (readonly Literal[] | null)[]) {
    this.#allFilters = 2 ** literals.length - 1;
    this.#always = literals.reduce((mask, each, index) => (each === null ? mask | (1 << index) : mask), 0);
    const wanted = wantedLiterals(literals);
    this.#search = wanted.length === 0 ? null : new LiteralSearch(wanted);
  }

  /** The first such line that begins at `from` or later, itself the begin of a line; undefined when there is none. */
  next(chunk: LogBytes, from: number): GateHit | undefined {
    if (this.#always !== 0) return this.#nextOfAll(chunk, from);
    const search = this.#search;
    const found = search === null ? -1 : search.next(chunk, from, chunk.bytes.length);
    if (search === null || found < 0) return undefined;
    const { filters } = search;
    const start = chunk.bytes.lastIndexOf(newline, found) + 1;
    const end = endOfLine(chunk.bytes, found);
    return { start, end, filters: this.#withRest(search, filters, chunk, found + 1, end) };
  }

  /** The next line that is not empty: some filter must see them all. */
  #nextOfAll(chunk: LogBytes, from: number): GateHit | undefined {
    const { bytes } = chunk;
    let start = from;
    while (bytes[start] === newline) start += 1;
    if (start >= bytes.length) return undefined;
    const end = endOfLine(bytes, start);
    const search = this.#search;
    const filters = search === null ? this.#always : this.#withRest(search, this.#always, chunk, start, end);
    return { start, end, filters };
  }

  /** The other filters whose literals stand in the rest of the line. */
  #withRest(search: LiteralSearch, known: number, chunk: LogBytes, from: number, end: number): number {
    let filters = known;
    let at = from;
    while (filters !== this.#allFilters) {
      at = search.next(chunk, at, end, filters);
      if (at < 0) break;
      filters |= search.filters;
      at += 1;
    }
    return filters;
  }
}

/** The view of a chunk's bytes that the gate needs. */
export function logBytes(chunk: Buffer): LogBytes {
  return { bytes: chunk, words: new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength) };
}

function endOfLine(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(newline, from);
  return end < 0 ? bytes.length : end;
}

function wantedLiterals(literals: readonly (readonly Literal[] | null)[]): readonly WantedLiteral[] {
  const wanted = new Map<string, WantedLiteral>();
  for (const [index, each] of literals.entries()) {
    for (const literal of each ?? []) {
      const key = `${literal.ignoreCase ? "i" : "c"}${literal.text}`;
      wanted.set(key, { literal, filters: (wanted.get(key)?.filters ?? 0) | (1 << index) });
    }
  }
  return [...wanted.values()];
}
