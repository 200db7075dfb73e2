import { createLogFilters } from "./filter-log.ts";
import type { FoundFailure, LineClock, Outcome } from "./found-failure.ts";
import type { Filter } from "./match-line.ts";
import type { Trouble } from "./watchdog.ts";

/** One failure of `agent filter --json`. `time` in seconds since the epoch; `count` only when syslog folded several lines. */
export type FailureRow = Readonly<{
  line: number;
  id: string;
  ip: string | null;
  time: number;
  user: string | null;
  count?: number;
}>;
export type SummaryRow = Readonly<{ lines: number; matched: number; ignored: number; missed: number }>;

/**
 * Tests a filter on a log. Counts as fail2ban-regex does: empty lines and lines that begin with `#` are not counted;
 * a line that is no failure by itself (`nofail`) counts as ignored, one whose address is still awaited as matched, and
 * the earlier lines of a multi-line failure as matched, too.
 */
export class FilterReport {
  readonly #clock: LineClock;
  readonly #process: ReturnType<typeof createLogFilters>["process"];
  #lineNumber = 0;
  #lines = 0;
  #matched = 0;
  #ignored = 0;
  #rest = "";

  constructor(filter: Filter, clock: LineClock, report: (trouble: Trouble) => void) {
    this.#clock = clock;
    this.#process = createLogFilters([filter], { report }).process;
  }

  /** Takes the next bytes of the log, cut anywhere. Rows come in the order of the log. */
  add(chunk: Buffer): FailureRow[] {
    const text = this.#rest + chunk.toString("latin1");
    const end = text.lastIndexOf("\n") + 1;
    this.#rest = text.slice(end);
    return this.#take(text.slice(0, end));
  }

  /**
   * The sums, after the failures of a last line without newline if that is taken. In a file such a line is still being
   * written, so fail2ban-regex leaves it out.
   */
  finish(takeHalfLine = false): (FailureRow | SummaryRow)[] {
    const rows = takeHalfLine ? this.#take(this.#rest) : [];
    this.#rest = "";
    const missed = this.#lines - this.#matched - this.#ignored;
    return [...rows, { lines: this.#lines, matched: this.#matched, ignored: this.#ignored, missed }];
  }

  #take(text: string): FailureRow[] {
    if (text === "") return [];
    const { counted, numbers } = this.#count(text);
    const rows: FailureRow[] = [];
    this.#process(counted, this.#clock, (task, outcome) => {
      this.#sum(outcome);
      if (outcome.kind !== "failure") return;
      for (const failure of outcome.failures) rows.push(rowOf(numbers(task.start), failure));
    });
    return rows;
  }

  /** Leaves out what is not counted; `numbers` gives the line number of a place in the rest, asked in rising order. */
  #count(text: string): { counted: string; numbers: (start: number) => number } {
    const pieces: string[] = [];
    const skippedAt: number[] = [];
    let keptFrom = 0;
    let keptLength = 0;
    const first = this.#lineNumber + 1;
    for (let start = 0; start < text.length; ) {
      const newline = text.indexOf("\n", start);
      const end = newline < 0 ? text.length : newline;
      this.#lineNumber += 1;
      if (isCounted(text, start, end)) this.#lines += 1;
      else {
        pieces.push(text.slice(keptFrom, start));
        keptLength += start - keptFrom;
        keptFrom = end + 1;
        skippedAt.push(keptLength);
      }
      start = end + 1;
    }
    const counted = pieces.length === 0 ? text : pieces.join("") + text.slice(keptFrom);
    let number = first;
    let at = 0;
    let skipped = 0;
    const numbers = (start: number) => {
      for (
        let newline = counted.indexOf("\n", at);
        newline >= 0 && newline < start;
        newline = counted.indexOf("\n", at)
      ) {
        number += 1;
        at = newline + 1;
      }
      while (skipped < skippedAt.length && (skippedAt[skipped] ?? 0) <= start) {
        number += 1;
        skipped += 1;
      }
      return number;
    };
    return { counted, numbers };
  }

  #sum(outcome: Outcome): void {
    if (outcome.kind === "missed") return;
    if (outcome.kind === "ignored" || outcome.kind === "nofail") this.#ignored += 1;
    else this.#matched += 1;
    this.#matched += outcome.consumedLines;
  }
}

function isCounted(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(start) === 35) return false;
  while (end > start && text.charCodeAt(end - 1) === 13) end -= 1;
  return end > start;
}

function rowOf(line: number, failure: FoundFailure): FailureRow {
  const { id, ip, user, count, atMs } = failure;
  const row = { line, id, ip, time: atMs / 1000, user };
  return count === 1 ? row : { ...row, count };
}
