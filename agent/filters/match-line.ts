import type { UseDns } from "../settings/jail-settings.ts";
import { CapturedGroups, type Search } from "./captured-groups.ts";
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
      failRegexes.map((each) => ({ value: each, firsts: each.regex.firstCharacters })),
    );
    // fail2ban's rule: few ignoreregexes are cheaper first. It shows, because they then see the whole line.
    this.#earlyIgnore = ignoreRegexes.length > 0 && ignoreRegexes.length < failRegexes.length - 2;
  }

  /**
   * @param line   without its newline; failures keep it, so it must not be a slice of anything large
   * @param ascii  whether it holds ASCII characters only, if that is known
   * @param ended  the line with its newline, if it is at hand
   */
  match(line: string, clock: LineClock, ascii = asciiOnly.test(line), ended = `${line}\n`): Outcome {
    this.#linesBefore = this.#buffer?.lines ?? [];
    this.#longLine = line.length > longLineLength;
    this.#ascii = ascii;
    if (this.#isSuspended(this.#datePattern)) return missed;
    this.running = this.#datePattern;
    const { dates } = this.#parts;
    const isInTime = dates.read(line, clock);
    this.running = null;
    if (!isInTime) return missed;
    const { from, to, atMs } = dates;
    const text = from === 0 ? ended.slice(to) : ended.slice(0, from) + ended.slice(to);
    if (this.#buffer !== null) return this.#findInBuffer(this.#buffer, { line, text: text.slice(0, -1) }, atMs, clock);
    // A folded line may match as it stands, too, but then it would count once only.
    const unfolded = unfoldRepeated(text);
    if (unfolded !== undefined) {
      const outcome = this.#find({ line, ...unfolded, atMs, buffered: null }, clock);
      if (outcome.kind !== "missed") return outcome;
    }
    return this.#find({ line, text, atMs, count: 1, buffered: null }, clock);
  }

  /** Takes back the last line, when its match had to be stopped half-way. */
  forgetLine(): void {
    this.running = null;
    this.#buffer?.replace(this.#linesBefore);
  }

  /** The regexes of a multi-line filter see all lines in the buffer. */
  #findInBuffer(buffer: LineBuffer, newest: LogLine, atMs: number | null, clock: LineClock): Outcome {
    const lines = buffer.push(newest);
    const text = textOfLines(lines);
    if (lines.length > 1) this.#ascii = asciiOnly.test(text);
    return this.#find({ line: newest.line, text, atMs, count: 1, buffered: { lines, newest } }, clock);
  }

  #find(searched: Searched, clock: LineClock): Outcome {
    const { prefRegex, ignoreRegexes } = this.#parts;
    let { text } = searched;
    if (this.#earlyIgnore && this.#isIgnored(text)) return ignoredAlone;
    let prefix: Search | null = null;
    if (prefRegex?.regex.capturesRest && searched.buffered === null) {
      const start = this.#restStart(prefRegex, text);
      if (start < 0) return missed;
      text = text.slice(start);
    } else if (prefRegex !== null) {
      prefix = this.#search(prefRegex, text);
      if (prefix === null) return missed;
      text = this.#contentOf(prefix);
    }
    for (const failRegex of this.#failRegexes.candidates(text)) {
      const search = this.#search(failRegex, text);
      if (search === null) continue;
      const { matched, unmatched, consumedLines } = usedLines(searched, search);
      if (ignoreRegexes.length > 0 && this.#isIgnored(matched === null ? text : textOfLines(matched))) {
        this.#buffer?.replace(unmatched);
        return { kind: "ignored", consumedLines };
      }
      if (searched.atMs === null && clock.mode !== "any") continue;
      this.#buffer?.replace(unmatched);
      const groups = new CapturedGroups(search, prefix === null ? null : new CapturedGroups(prefix, null));
      const marked = marksIn(search) | (prefix === null ? 0 : marksIn(prefix));
      const lines = matched === null ? [searched.line] : matched.map((each) => each.line);
      const found = { lines, atMs: searched.atMs ?? clock.nowMs, count: searched.count, consumedLines };
      return this.#conclude(found, groups, marked, clock);
    }
    return missed;
  }

  /** What the failregexes see of a text that the prefregex matched: the content it captured, else all of it. */
  #contentOf({ regex, text, match }: Search): string {
    const content = regex.content === undefined ? "" : (match[regex.content] ?? "");
    if (content === "") return text;
    this.#buffer?.replace([{ line: "", text: content }]);
    return ended(content, text);
  }

  /** The line matched: is it a failure, whose, or what does it mean for its connection? */
  #conclude(found: Found, groups: CapturedGroups, marked: number, clock: LineClock): Outcome {
    const { lines, consumedLines } = found;
    if (groups.mlfid === undefined) {
      if ((marked & marks.harmless) !== 0) return { kind: "nofail", consumedLines };
      return this.#failure(found, groups, lines, null, clock);
    }
    const connection = this.#connections.merge(groups.mlfid, groups, marked, lines, clock.nowMs);
    if (connection.harmless) return { kind: "nofail", consumedLines };
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
    return { kind: "failure", failure, consumedLines };
  }

  #isIgnored(text: string): boolean {
    return this.#parts.ignoreRegexes.some((each) => this.#search(each, text) !== null);
  }

  #search(regex: FilterRegex, text: string): Search | null {
    if (this.#isSuspended(regex)) return null;
    const ascii = this.#ascii;
    this.running = regex;
    const match = regex.regex.search(text, ascii);
    this.running = null;
    return match === null ? null : { regex, text, match, ascii };
  }

  #restStart(regex: FilterRegex, text: string): number {
    if (this.#isSuspended(regex)) return -1;
    this.running = regex;
    const start = regex.regex.restStart(text, this.#ascii);
    this.running = null;
    return start;
  }

  #isSuspended(each: Watched): boolean {
    return each.suspended !== "never" && (each.suspended === "always" || this.#longLine);
  }
}

/** What the regexes see: the text without its date, with its newlines. */
type Searched = Readonly<{
  line: string;
  text: string;
  atMs: number | null;
  count: number;
  /** null: the text is one line. */
  buffered: Readonly<{ lines: readonly LogLine[]; newest: LogLine }> | null;
}>;

type Found = Readonly<{ lines: readonly string[]; atMs: number; count: number; consumedLines: number }>;

type UsedLines = Readonly<{
  /** null: the line that was searched. */
  matched: readonly LogLine[] | null;
  unmatched: readonly LogLine[];
  /** Earlier lines of the buffer that this match took out of it. */
  consumedLines: number;
}>;

const theLine: UsedLines = { matched: null, unmatched: [], consumedLines: 0 };

function usedLines({ buffered }: Searched, { regex, text, match }: Search): UsedLines {
  if (buffered === null) return theLine;
  const { lines, newest } = buffered;
  if (lines.length === 1) return { ...theLine, matched: lines };
  const skipped = regex.skipped.map((number) => match[number] ?? "").join("");
  const { matched, unmatched } = splitMatched(lines, text, match, skipped);
  const consumed = lines.filter((each) => each !== newest && !unmatched.includes(each));
  return { matched, unmatched, consumedLines: consumed.length };
}

/** The content with a newline. Mostly it is the end of the text, and cutting costs less than adding. */
function ended(content: string, text: string): string {
  const from = text.length - 1 - content.length;
  return text.endsWith("\n") && text.endsWith(content, text.length - 1) ? text.slice(from) : `${content}\n`;
}
