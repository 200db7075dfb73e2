import type { Literal } from "./required-literals.ts";

/** Filters one gate can tell apart: one bit each, and V8 keeps 31 of them in a small integer. */
export const gateFiltersMax = 30;

const newline = 10;

/** A line that some filter must see: its bounds without the newline, and one bit per filter. */
export type GateHit = Readonly<{ start: number; end: number; filters: number }>;

/**
 * Decides for a whole chunk of a log which lines can mean anything to which filter, with one regex over all of it:
 * most lines of a log are never cut out, let alone searched.
 */
export type Gate = Readonly<{
  /** The first such line that begins at `from` or later; undefined when there is none. */
  next(chunk: string, from: number): GateHit | undefined;
}>;

/** @param literals  of each filter; null = it must see every line */
export function createGate(literals: readonly (readonly Literal[] | null)[]): Gate {
  const allFilters = 2 ** literals.length - 1;
  const always = literals.reduce((mask, each, index) => (each === null ? mask | (1 << index) : mask), 0);
  const masks = literalMasks(literals);
  const expression = masks.size === 0 ? null : gateExpression(literals);
  if (always !== 0 || expression === null)
    return { next: (chunk, from) => nextLine(chunk, from, always, expression, masks) };
  // With one filter it is enough to know where; `test` makes no array of what it found.
  if (literals.length === 1) return { next: (chunk, from) => nextHitOfOne(chunk, from, expression) };
  return new ManyGate(expression, allFilters, masks);
}

function nextHitOfOne(chunk: string, from: number, expression: RegExp): GateHit | undefined {
  if (from >= chunk.length) return undefined;
  expression.lastIndex = from;
  if (!expression.test(chunk)) return undefined;
  const at = expression.lastIndex - 1;
  return { start: chunk.lastIndexOf("\n", at) + 1, end: endOfLine(chunk, at), filters: 1 };
}

class ManyGate implements Gate {
  readonly #expression: RegExp;
  readonly #allFilters: number;
  readonly #masks: ReadonlyMap<string, number>;
  /** The first text found behind the last line: what the next call would search for again. */
  #ahead: Readonly<{ chunk: string; from: number; found: RegExpExecArray }> | undefined;

  constructor(expression: RegExp, allFilters: number, masks: ReadonlyMap<string, number>) {
    this.#expression = expression;
    this.#allFilters = allFilters;
    this.#masks = masks;
  }

  next(chunk: string, from: number): GateHit | undefined {
    const first = this.#first(chunk, from);
    this.#ahead = undefined;
    if (first === null) return undefined;
    const start = chunk.lastIndexOf("\n", first.index) + 1;
    const end = endOfLine(chunk, first.index);
    // The other filters whose literals stand in the rest of the line.
    let filters = 0;
    let found: RegExpExecArray | null = first;
    while (found !== null && found.index < end && filters !== this.#allFilters) {
      filters |= this.#masks.get(found[0].toLowerCase()) ?? this.#allFilters;
      this.#expression.lastIndex = found.index + 1;
      found = this.#expression.exec(chunk);
    }
    if (found !== null && found.index >= end) this.#ahead = { chunk, from: end + 1, found };
    return { start, end, filters };
  }

  #first(chunk: string, from: number): RegExpExecArray | null {
    if (from >= chunk.length) return null;
    const ahead = this.#ahead;
    if (ahead !== undefined && ahead.from === from && ahead.chunk === chunk) return ahead.found;
    this.#expression.lastIndex = from;
    return this.#expression.exec(chunk);
  }
}

/** The next line that is not empty: some filter must see them all. */
function nextLine(
  chunk: string,
  from: number,
  always: number,
  expression: RegExp | null,
  masks: ReadonlyMap<string, number>,
): GateHit | undefined {
  if (always === 0) return undefined;
  let start = from;
  while (chunk.charCodeAt(start) === newline) start += 1;
  if (start >= chunk.length) return undefined;
  const end = endOfLine(chunk, start);
  let filters = always;
  if (expression !== null) {
    const line = chunk.slice(start, end);
    expression.lastIndex = 0;
    for (let found = expression.exec(line); found !== null; found = expression.exec(line)) {
      filters |= masks.get(found[0].toLowerCase()) ?? 0;
      expression.lastIndex = found.index + 1;
    }
  }
  return { start, end, filters };
}

function endOfLine(chunk: string, at: number): number {
  const end = chunk.indexOf("\n", at);
  return end < 0 ? chunk.length : end;
}

/**
 * Which filters a found text speaks for, by its lower case: its own, and those of every literal it begins with, because
 * the regex finds only one literal at each position, the longest. Case is not looked at here: a filter too many is
 * asked in vain, none is forgotten.
 */
function literalMasks(literals: readonly (readonly Literal[] | null)[]): ReadonlyMap<string, number> {
  const all = literals.flatMap((each, index) =>
    (each ?? []).map(({ text }) => ({ text: text.toLowerCase(), bit: 1 << index })),
  );
  return new Map(
    all.map(({ text }) => [text, all.reduce((mask, each) => (text.startsWith(each.text) ? mask | each.bit : mask), 0)]),
  );
}

function gateExpression(literals: readonly (readonly Literal[] | null)[]): RegExp {
  const sources = new Map<string, number>();
  for (const { text, ignoreCase } of literals.flatMap((each) => each ?? [])) {
    const escaped = text.replace(/[$^\\.*+?()[\]{}|/]/g, "\\$&");
    const source = ignoreCase
      ? escaped.replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`)
      : escaped;
    sources.set(source, text.length);
  }
  const longestFirst = [...sources].toSorted(([, one], [, other]) => other - one);
  return new RegExp(longestFirst.map(([source]) => source).join("|"), "g");
}
