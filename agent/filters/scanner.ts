import { isAscii } from "node:buffer";
import { TextDecoder } from "node:util";
import type { LineClock } from "./found-failure.ts";
import { Gate, type GateHit, gateFiltersMax, type LogBytes, logBytes } from "./gate.ts";
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

const carriageReturn = 13;

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
      return { filters: members, gate: new Gate(literals) };
    });
  }

  /** @param chunk  whole lines */
  scan(chunk: Buffer, clock: LineClock): Candidates {
    return new Candidates(chunk, clock, this.#groups, this.#decoder);
  }
}

/** The candidates of one chunk, one after the other. A call that was stopped half-way can be made again. */
export class Candidates {
  readonly #chunk: Buffer;
  readonly #bytes: LogBytes;
  readonly #ascii: boolean;
  readonly #clock: LineClock;
  readonly #groups: readonly Group[];
  readonly #decoder: TextDecoder;
  #group = 0;
  #hit: GateHit | undefined;
  /** Filters of the hit's line that are still to see it, as bits. */
  #left = 0;
  /** The hit's line, read. */
  #line = "";
  #ended = "";
  #asciiLine = true;

  constructor(chunk: Buffer, clock: LineClock, groups: readonly Group[], decoder: TextDecoder) {
    this.#chunk = chunk;
    this.#bytes = logBytes(chunk);
    this.#ascii = isAscii(chunk);
    this.#clock = clock;
    this.#groups = groups;
    this.#decoder = decoder;
  }

  next(): Candidate | undefined {
    for (;;) {
      const group = this.#groups[this.#group];
      if (group === undefined) return undefined;
      if (this.#left === 0 && !this.#nextLine(group.gate)) {
        this.#group += 1;
        this.#hit = undefined;
        continue;
      }
      // Lowest bit first, so that filters see a line in the order they were given.
      const filter = group.filters[31 - Math.clz32(this.#left & -this.#left)];
      this.#left &= this.#left - 1;
      if (filter === undefined) continue;
      const start = this.#hit?.start ?? 0;
      return { filter, line: this.#line, ended: this.#ended, start, ascii: this.#asciiLine, clock: this.#clock };
    }
  }

  #nextLine(gate: Gate): boolean {
    const chunk = this.#chunk;
    const hit = gate.next(this.#bytes, this.#hit === undefined ? 0 : this.#hit.end + 1);
    if (hit === undefined) return false;
    const { start } = hit;
    let { end } = hit;
    // Lines of Windows programs end with a carriage return too; fail2ban strips all of them.
    while (end > start && chunk[end - 1] === carriageReturn) end -= 1;
    const ascii = this.#ascii || isAscii(chunk.subarray(start, end));
    // The newline is read with the line where it can be, and is there to be read.
    const whole = end === hit.end && end < chunk.length;
    const text = ascii
      ? chunk.toString(undefined, start, whole ? end + 1 : end)
      : this.#decoder.decode(chunk.subarray(start, end));
    const ended = ascii && whole ? text : `${text}\n`;
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
