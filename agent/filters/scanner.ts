import { isAscii } from "node:buffer";
import { TextDecoder } from "node:util";
import type { LineClock } from "./found-failure.ts";
import { createGate, type Gate, type GateHit, gateFiltersMax } from "./gate.ts";
import type { Filter } from "./match-line.ts";

/** A line that a filter must see. */
export type Candidate = Readonly<{
  filter: Filter;
  line: string;
  /** The same with its newline: what regexes search. Both share their characters, and neither is a part of the chunk. */
  ended: string;
  /** The line's byte offset in the chunk. */
  start: number;
  /** Whether the line holds ASCII characters only. */
  ascii: boolean;
  clock: LineClock;
}>;

/** What splits lines is a byte, and the literals are ASCII, so chunks are searched as latin1 and only hits are decoded. */
const beyondAscii = /[\x80-\xff]/;
const carriageReturn = 13;
const newline = 10;
/** Bytes searched at once: a larger string would be none of the young objects, which cost nothing to let go of. */
const pieceBytes = 65_536;

type Group = Readonly<{ filters: readonly Filter[]; gate: Gate }>;

/** Finds the lines that mean anything to some filter. All filters read the same log, so one pass serves them. */
export class Scanner {
  readonly #decoder: TextDecoder;
  readonly #groups: readonly Group[];

  /**
   * @param gated     false: every line is a candidate; the slow reference the gate is tested against
   * @param encoding  `logencoding` as the Encoding Standard names it; anything ASCII-compatible
   */
  constructor(filters: readonly Filter[], options: Readonly<{ gated?: boolean; encoding?: string }> = {}) {
    this.#decoder = new TextDecoder(options.encoding ?? "utf-8");
    this.#groups = Array.from({ length: Math.ceil(filters.length / gateFiltersMax) }, (_, index) => {
      const members = filters.slice(index * gateFiltersMax, (index + 1) * gateFiltersMax);
      const literals = members.map((each) => (options.gated === false ? null : each.literals));
      return { filters: members, gate: createGate(literals) };
    });
  }

  /** @param chunk  whole lines; bytes, or the same bytes as a latin1 string */
  scan(chunk: Buffer | string, clock: LineClock): Candidates {
    return new Candidates(chunk, clock, this.#groups, this.#decoder);
  }
}

/** The candidates of one chunk, one after the other. A call that was stopped half-way can be made again. */
export class Candidates {
  readonly #chunk: Buffer | string;
  readonly #ascii: boolean;
  /** The piece that is searched, and where in the chunk it begins and ends. */
  #text = "";
  #from = 0;
  #to = 0;
  readonly #clock: LineClock;
  readonly #groups: readonly Group[];
  readonly #decoder: TextDecoder;
  /** Beyond the last group, so that the first piece is read first. */
  #group = Number.POSITIVE_INFINITY;
  #hit: GateHit | undefined;
  /** Filters of the hit's line that are still to see it, as bits. */
  #left = 0;
  /** The hit's line, read. */
  #line = "";
  #ended = "";
  #asciiLine = true;

  constructor(chunk: Buffer | string, clock: LineClock, groups: readonly Group[], decoder: TextDecoder) {
    this.#chunk = chunk;
    this.#ascii = typeof chunk !== "string" && isAscii(chunk);
    this.#clock = clock;
    this.#groups = groups;
    this.#decoder = decoder;
  }

  next(): Candidate | undefined {
    for (;;) {
      const group = this.#groups[this.#group];
      if (group === undefined) {
        if (!this.#nextPiece()) return undefined;
        continue;
      }
      if (this.#left === 0 && !this.#nextLine(group.gate)) {
        this.#group += 1;
        this.#hit = undefined;
        continue;
      }
      // Lowest bit first, so that filters see a line in the order they were given.
      const filter = group.filters[31 - Math.clz32(this.#left & -this.#left)];
      this.#left &= this.#left - 1;
      if (filter === undefined) continue;
      const start = this.#from + (this.#hit?.start ?? 0);
      return { filter, line: this.#line, ended: this.#ended, start, ascii: this.#asciiLine, clock: this.#clock };
    }
  }

  /** Whole lines, as many as a piece holds, or one that is longer. */
  #nextPiece(): boolean {
    const chunk = this.#chunk;
    const from = this.#to;
    if (from >= chunk.length || this.#groups.length === 0) return false;
    let to = chunk.length;
    if (typeof chunk !== "string" && to - from > pieceBytes) {
      const before = chunk.lastIndexOf(newline, from + pieceBytes - 1);
      const end = before >= from ? before : chunk.indexOf(newline, from);
      if (end >= 0) to = end + 1;
    }
    const text = typeof chunk === "string" ? chunk : chunk.toString("latin1", from, to);
    this.#text = text;
    this.#from = from;
    this.#to = to;
    this.#hit = undefined;
    this.#group = 0;
    return true;
  }

  #nextLine(gate: Gate): boolean {
    const text = this.#text;
    const hit = gate.next(text, this.#hit === undefined ? 0 : this.#hit.end + 1);
    if (hit === undefined) return false;
    let end = hit.end;
    // Lines of Windows programs end with a carriage return too; fail2ban strips all of them.
    while (end > hit.start && text.charCodeAt(end - 1) === carriageReturn) end -= 1;
    const bytes = text.slice(hit.start, end);
    const ascii = this.#ascii || !beyondAscii.test(bytes);
    // The newline makes it a copy of its own: whoever keeps a part of a line does not keep the chunk.
    const ended = `${ascii ? bytes : this.#decoder.decode(Buffer.from(bytes, "latin1"))}\n`;
    const line = ended.slice(0, -1);
    // Together, after all calls: only a call can be stopped.
    this.#line = line;
    this.#ended = ended;
    this.#asciiLine = ascii;
    this.#hit = hit;
    this.#left = hit.filters;
    return true;
  }
}
