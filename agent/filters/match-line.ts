import type { UseDns } from "../settings/jail-settings.ts";
import { CapturedGroups } from "./captured-groups.ts";
import { Connections } from "./connections.ts";
import { identify } from "./failure-id.ts";
import { type FilterRegex, marks, marksIn } from "./filter-regex.ts";
import { FirstCharacterTable } from "./first-characters.ts";
import type { FoundFailure, LineClock, Outcome } from "./found-failure.ts";
import { LineBuffer, type LogLine, splitMatched, textOfLines } from "./line-buffer.ts";
import type { LineDates } from "./line-date.ts";
import { unfoldRepeated } from "./repeated-message.ts";
import type { Literal } from "./required-literals.ts";

export type FilterParts = Readonly<{
  name: string;
  useDns: UseDns;
  maxLines: number;
  prefRegex: FilterRegex | null;
  failRegexes: readonly FilterRegex[];
  ignoreRegexes: readonly FilterRegex[];
  dates: LineDates;
  /** A line without any of them cannot match; null = every line must be looked at. */
  literals: readonly Literal[] | null;
  warnings: readonly string[];
}>;

/** What can run too long, for the watchdog. */
export type Watched = { readonly place: string; suspended: FilterRegex["suspended"] };

/** Longer lines are rare, and regexes that are quick on others may take very long on them: they are watched alone. */
export const longLineLength = 2048;

const none: readonly LogLine[] = [];
const missed: Outcome = { kind: "missed" };
const ignoredAlone: Outcome = { kind: "ignored", consumedLines: 0 };
const asciiOnly = /^[\x00-\x7f]*$/;

/**
 * One jail's filter: from a log line to a failure, step by step as fail2ban does it. Keeps state (dates, connections,
 * the lines of multi-line filters), does no I/O, knows no clock.
 */
export class Filter {
  readonly name: string;
  readonly literals: readonly Literal[] | null;
  readonly warnings: readonly string[];
  /** The regex that runs now: what the watchdog finds when it had to stop it. */
  running: Watched | null = null;
  readonly #parts: FilterParts;
  readonly #connections = new Connections();
  readonly #buffer: LineBuffer | null;
  readonly #datePattern: Watched;
  readonly #earlyIgnore: boolean;
  #linesBefore: readonly LogLine[] = [];
  readonly #failRegexes: FirstCharacterTable<FilterRegex>;
  #longLine = false;
  #ascii = true;

  constructor(parts: FilterParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.literals = parts.literals;
    this.warnings = parts.warnings;
    this.#buffer = parts.maxLines > 1 ? new LineBuffer(parts.maxLines) : null;
    this.#datePattern = { place: `filter "${parts.name}": datepattern`, suspended: "never" };
    const { ignoreRegexes, failRegexes } = parts;
    this.#failRegexes = new FirstCharacterTable(
      failRegexes.map((each) => ({ value: each, root: each.regex.tree.root })),
    );
    // fail2ban's rule: few ignoreregexes are cheaper first. It shows, because they then see the whole line.
    this.#earlyIgnore = ignoreRegexes.length > 0 && ignoreRegexes.length < failRegexes.length - 2;
  }

  /**
   * @param line   without its newline
   * @param ascii  whether it holds ASCII characters only, if that is known
   */
  match(line: string, clock: LineClock, ascii = asciiOnly.test(line)): Outcome {
    this.#linesBefore = this.#buffer?.lines ?? [];
    this.#longLine = line.length > longLineLength;
    this.#ascii = ascii;
    if (this.#isSuspended(this.#datePattern)) return missed;
    this.running = this.#datePattern;
    const dated = this.#parts.dates.read(line, clock);
    this.running = null;
    if (dated.tooOld) return missed;
    if (this.#buffer !== null) {
      const newest = { line, text: dated.text };
      return this.#find(this.#buffer.push(newest), newest, dated.atMs, 1, clock);
    }
    // A folded line may match as it stands, too, but then it would count once only.
    const unfolded = unfoldRepeated(dated.text);
    if (unfolded !== undefined) {
      const inner = { line, text: unfolded.text };
      const outcome = this.#find([inner], inner, dated.atMs, unfolded.count, clock);
      if (outcome.kind !== "missed") return outcome;
    }
    const entry = { line, text: dated.text };
    return this.#find([entry], entry, dated.atMs, 1, clock);
  }

  /** Takes back the last line, when its match had to be stopped half-way. */
  forgetLine(): void {
    this.running = null;
    this.#buffer?.replace(this.#linesBefore);
  }

  /** @param lines  those the regexes see: the newest one, or all of a multi-line filter's buffer */
  #find(lines: readonly LogLine[], newest: LogLine, atMs: number | null, count: number, clock: LineClock): Outcome {
    const { prefRegex, ignoreRegexes } = this.#parts;
    let text = lines.length === 1 ? `${newest.text}\n` : textOfLines(lines);
    if (lines.length > 1) this.#ascii = asciiOnly.test(text);
    if (this.#earlyIgnore && this.#isIgnored(text)) return ignoredAlone;
    let groups: CapturedGroups | null = null;
    let marked = 0;
    if (prefRegex !== null) {
      const match = this.#search(prefRegex, text);
      if (match === null) return missed;
      groups = new CapturedGroups(prefRegex, match, null);
      marked = marksIn(prefRegex, match);
      const content = prefRegex.content === undefined ? "" : (match[prefRegex.content] ?? "");
      if (content !== "") {
        text = `${content}\n`;
        this.#buffer?.replace([{ line: "", text: content }]);
      }
    }
    for (const failRegex of this.#failRegexes.candidates(text)) {
      const match = this.#search(failRegex, text);
      if (match === null) continue;
      const { matched, unmatched } =
        lines.length === 1 ? { matched: lines, unmatched: none } : splitLines(lines, text, failRegex, match);
      const consumedLines =
        lines.length === 1 ? 0 : lines.filter((each) => each !== newest && !unmatched.includes(each)).length;
      if (ignoreRegexes.length > 0 && this.#isIgnored(this.#buffer === null ? text : textOfLines(matched))) {
        this.#buffer?.replace(unmatched);
        return { kind: "ignored", consumedLines };
      }
      if (atMs === null && clock.mode !== "any") continue;
      this.#buffer?.replace(unmatched);
      groups = new CapturedGroups(failRegex, match, groups);
      const found = { matched, atMs: atMs ?? clock.nowMs, count, consumedLines };
      return this.#conclude(found, groups, marked | marksIn(failRegex, match), clock);
    }
    return missed;
  }

  /** The line matched: is it a failure, whose, or what does it mean for its connection? */
  #conclude(found: Found, groups: CapturedGroups, marked: number, clock: LineClock): Outcome {
    const lines = found.matched.map((each) => detached(each.line));
    if (groups.mlfid === undefined) {
      if ((marked & marks.harmless) !== 0) return { kind: "nofail", consumedLines: found.consumedLines };
      return this.#failure(found, groups, lines, null, clock);
    }
    const connection = this.#connections.merge(groups.mlfid, groups, marked, lines, clock.nowMs);
    if (connection.harmless) return { kind: "nofail", consumedLines: found.consumedLines };
    const outcome = this.#failure(found, groups, connection.lines, connection.users, clock);
    if (outcome.kind === "pending") connection.pending = true;
    return outcome;
  }

  #failure(
    found: Found,
    groups: CapturedGroups,
    lines: readonly string[],
    users: ReadonlySet<string> | null,
    clock: LineClock,
  ): Outcome {
    const { consumedLines, count } = found;
    const identity = identify(groups, this.#parts.useDns);
    if (identity === undefined) return { kind: "pending", consumedLines };
    if (identity === null) return missed;
    const { id, ip, name } = identity;
    const atMs = clock.mode === "any" ? found.atMs : Math.min(found.atMs, clock.nowMs);
    const failure: FoundFailure = { id, ip, name, atMs, user: groups.user ?? null, users, count, lines, data: groups };
    return { kind: "failure", failures: [failure], consumedLines };
  }

  #isIgnored(text: string): boolean {
    return this.#parts.ignoreRegexes.some((each) => this.#search(each, text) !== null);
  }

  #search(each: FilterRegex, text: string): RegExpExecArray | null {
    if (this.#isSuspended(each)) return null;
    this.running = each;
    const match = each.regex.search(text, this.#ascii);
    this.running = null;
    return match;
  }

  #isSuspended(each: Watched): boolean {
    return each.suspended !== "never" && (each.suspended === "always" || this.#longLine);
  }
}

type Found = Readonly<{ matched: readonly LogLine[]; atMs: number; count: number; consumedLines: number }>;

function splitLines(lines: readonly LogLine[], text: string, failRegex: FilterRegex, match: RegExpExecArray) {
  const skipped = failRegex.skipped.map((number) => match[number] ?? "").join("");
  return splitMatched(lines, text, match, skipped);
}

/** A copy that does not keep the whole chunk of the log alive, of which the line is a slice. */
function detached(line: string): string {
  return `${line}\n`.slice(0, -1);
}
