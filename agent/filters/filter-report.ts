import { createLogFilters } from "./filter-log.ts";
import type { FoundFailure, LineClock, Outcome } from "./found-failure.ts";
import type { Filter } from "./match-line.ts";
import type { Trouble } from "./watchdog.ts";

const empty = Buffer.alloc(0);
const newline = 10;
const carriageReturn = 13;
const hash = 35;

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
  #rest: Buffer = empty;

  constructor(filter: Filter, clock: LineClock, report: (trouble: Trouble) => void) {
    this.#clock = clock;
    this.#process = createLogFilters([filter], { report }).process;
  }

  /** Takes the next bytes of the log, cut anywhere. Rows come in the order of the log. */
  add(chunk: Buffer): FailureRow[] {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const end = bytes.lastIndexOf(newline) + 1;
    this.#rest = bytes.subarray(end);
    return this.#take(bytes.subarray(0, end));
  }

  /**
   * The sums, after the failures of a last line without newline if that is taken. In a file such a line is still being
   * written, so fail2ban-regex leaves it out.
   */
  finish(takeHalfLine = false): (FailureRow | SummaryRow)[] {
    const rows = takeHalfLine ? this.#take(this.#rest) : [];
    this.#rest = empty;
    const missed = this.#lines - this.#matched - this.#ignored;
    return [...rows, { lines: this.#lines, matched: this.#matched, ignored: this.#ignored, missed }];
  }

  #take(bytes: Buffer): FailureRow[] {
    if (bytes.length === 0) return [];
    const { counted, numbers } = this.#count(bytes);
    const rows: FailureRow[] = [];
    this.#process(counted, this.#clock, (task, outcome) => {
      this.#sum(outcome);
      if (outcome.kind === "failure") rows.push(rowOf(numbers(task.start), outcome.failure));
    });
    return rows;
  }

  /** Leaves out what is not counted; `numbers` gives the line number of a place in the rest, asked in rising order. */
  #count(bytes: Buffer): { counted: Buffer; numbers: (start: number) => number } {
    const pieces: Buffer[] = [];
    const skippedAt: number[] = [];
    let keptFrom = 0;
    let keptLength = 0;
    const first = this.#lineNumber + 1;
    for (let start = 0; start < bytes.length; ) {
      const found = bytes.indexOf(newline, start);
      const end = found < 0 ? bytes.length : found;
      this.#lineNumber += 1;
      if (isCounted(bytes, start, end)) this.#lines += 1;
      else {
        pieces.push(bytes.subarray(keptFrom, start));
        keptLength += start - keptFrom;
        keptFrom = end + 1;
        skippedAt.push(keptLength);
      }
      start = end + 1;
    }
    const counted = pieces.length === 0 ? bytes : Buffer.concat([...pieces, bytes.subarray(keptFrom)]);
    let number = first;
    let at = 0;
    let skipped = 0;
    const numbers = (start: number) => {
      for (let end = counted.indexOf(newline, at); end >= 0 && end < start; end = counted.indexOf(newline, at)) {
        number += 1;
        at = end + 1;
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

function isCounted(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] === hash) return false;
  while (end > start && bytes[end - 1] === carriageReturn) end -= 1;
  return end > start;
}

function rowOf(line: number, failure: FoundFailure): FailureRow {
  const { id, ip, user, count, atMs } = failure;
  const row = { line, id, ip, time: atMs / 1000, user };
  return count === 1 ? row : { ...row, count };
}
