import type { Literal } from "./required-literals.ts";

/** Filters one gate can tell apart: one bit each, and V8 keeps 31 of them in a small integer. */
export const gateFiltersMax = 30;

/**
 * Decides for a whole chunk of a log which lines can mean anything to which filter, with one regex over all of it:
 * most lines of a log are never cut out, let alone searched.
 */
export type Gate = Readonly<{
  /** Calls `hit` for every line that a filter must see: its bounds without the newline, and one bit per filter. */
  scan(chunk: string, hit: (start: number, end: number, filters: number) => void): void;
}>;

/** @param literals  of each filter; null = it must see every line */
export function createGate(literals: readonly (readonly Literal[] | null)[]): Gate {
  const allFilters = 2 ** literals.length - 1;
  const always = literals.reduce((mask, each, index) => (each === null ? mask | (1 << index) : mask), 0);
  const masks = literalMasks(literals);
  const expression = masks.size === 0 ? null : gateExpression(literals);
  return {
    scan(chunk, hit) {
      if (always !== 0 || expression === null) scanEveryLine(chunk, always, expression, masks, hit);
      else scanHits(chunk, expression, allFilters, masks, hit);
    },
  };
}

type Hit = (start: number, end: number, filters: number) => void;

function scanHits(
  chunk: string,
  expression: RegExp,
  allFilters: number,
  masks: ReadonlyMap<string, number>,
  hit: Hit,
): void {
  const single = (allFilters & (allFilters - 1)) === 0;
  let from = 0;
  for (;;) {
    expression.lastIndex = from;
    // With one filter it is enough to know where; `test` makes no array of what it found.
    const found = single ? null : expression.exec(chunk);
    if (single ? !expression.test(chunk) : found === null) return;
    const at = single ? expression.lastIndex - 1 : (found?.index ?? 0);
    const start = chunk.lastIndexOf("\n", at) + 1;
    const newline = chunk.indexOf("\n", at);
    const end = newline < 0 ? chunk.length : newline;
    const mask = found === null ? allFilters : moreOfLine(chunk, end, expression, found, allFilters, masks);
    hit(start, end, mask);
    from = end + 1;
    if (from >= chunk.length) return;
  }
}

/** The other filters whose literals stand in the rest of the line. */
function moreOfLine(
  chunk: string,
  end: number,
  expression: RegExp,
  first: RegExpExecArray,
  allFilters: number,
  masks: ReadonlyMap<string, number>,
): number {
  let mask = 0;
  for (let found: RegExpExecArray | null = first; found !== null && found.index < end; found = expression.exec(chunk)) {
    mask |= masks.get(found[0].toLowerCase()) ?? allFilters;
    if (mask === allFilters) break;
    expression.lastIndex = found.index + 1;
  }
  return mask;
}

function scanEveryLine(
  chunk: string,
  always: number,
  expression: RegExp | null,
  masks: ReadonlyMap<string, number>,
  hit: Hit,
): void {
  for (let start = 0; start < chunk.length; ) {
    const newline = chunk.indexOf("\n", start);
    const end = newline < 0 ? chunk.length : newline;
    let mask = always;
    if (expression !== null) {
      const line = chunk.slice(start, end);
      expression.lastIndex = 0;
      for (let found = expression.exec(line); found !== null; found = expression.exec(line)) {
        mask |= masks.get(found[0].toLowerCase()) ?? 0;
        expression.lastIndex = found.index + 1;
      }
    }
    if (end > start) hit(start, end, mask);
    start = end + 1;
  }
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
