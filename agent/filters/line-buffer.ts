/** A log line as it stood, and its text without the date: what regexes see. */
export type LogLine = Readonly<{ line: string; text: string }>;

/** The last lines of a log, for filters whose regexes span several (`maxlines` > 1). */
export class LineBuffer {
  readonly #linesMax: number;
  #lines: readonly LogLine[] = [];

  constructor(linesMax: number) {
    this.#linesMax = linesMax;
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Adds a line; the oldest falls out. Returns all that are in the buffer now. */
  push(line: LogLine): readonly LogLine[] {
    this.#lines = [...this.#lines, line].slice(-this.#linesMax);
    return this.#lines;
  }

  replace(lines: readonly LogLine[]): void {
    this.#lines = lines;
  }
}

/** What a multi-line regex searches: every line ends with a newline. */
export function textOfLines(lines: readonly LogLine[]): string {
  return lines.map((each) => `${each.text}\n`).join("");
}

/**
 * Which lines a match used up. Lines that `<SKIPLINES>` stepped over stay in the buffer, because they may belong to
 * another failure.
 */
export function splitMatched(
  lines: readonly LogLine[],
  text: string,
  match: RegExpExecArray,
  skipped: string,
): { matched: readonly LogLine[]; unmatched: readonly LogLine[] } {
  const start = text.lastIndexOf("\n", match.index) + 1;
  const lastNewline = text.indexOf("\n", Math.max(0, match.index + match[0].length - 1));
  const first = countNewlines(text, start);
  const end = countNewlines(text, lastNewline < 0 ? text.length : lastNewline + 1);
  const matched = lines.slice(first, end);
  const unmatched = lines.slice(0, first);
  let from = 0;
  for (const skippedText of skipped.split("\n").slice(0, -1)) {
    const at = matched.findIndex((each, index) => index >= from && each.text === skippedText);
    if (at < 0) continue;
    unmatched.push(...matched.splice(at, 1));
    from = at;
  }
  return { matched, unmatched: [...unmatched, ...lines.slice(end)] };
}

function countNewlines(text: string, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
