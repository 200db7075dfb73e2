import { expandDirectives, hasNames, timeOfGroups } from "./directives.ts";

/** Finds one form of date in a line and knows the time it means. */
export type DateTemplate = Readonly<{
  /** Tells templates apart: the pattern as written. */
  name: string;
  /** Bound to the start or end of the line, so it cannot be a date inside a message. */
  anchored: boolean;
  /** Preference among templates that match: line-begin variants of the defaults weigh more. */
  weight: number;
  /** Searches `line` from `from`; sees nothing at or after `to`. */
  search(line: string, from: number, to: number): RegExpExecArray | null;
  timeMs(match: RegExpExecArray, defaultZone: number | null, nowMs: number): number | null;
}>;

/** A regex in Python's syntax made ready for V8: global, with named groups and, unless group 1 ends it, positions. */
export type CompilePython = (source: string, flags: Readonly<{ ignoreCase: boolean }>) => RegExp;

/** What a pattern turns into: `{^LN-BEG}`, `{UNB}` or neither in front of it says how it is bounded. */
type Bounds = "word" | "line" | "none";

const lineBegin = "{^LN-BEG}";
const unbounded = "{UNB}";
/** Not between two word characters. The same at both ends of a date, and at the ends of the line. */
const wordEdge = String.raw`(?!(?<=\w)\w)`;

/** A template of `%` directives. Throws what the regex compiler throws; `date-detector.ts` names the pattern. */
export function patternTemplate(
  pattern: string,
  options: Readonly<{ compile: CompilePython; latestYear: number; weight?: number }>,
): DateTemplate {
  const [bounds, body] = splitBounds(pattern);
  const { source, anchored } = bound(expandDirectives(body, options.latestYear), bounds);
  return {
    name: pattern,
    anchored,
    weight: options.weight ?? 1,
    search: searcher(options.compile, source, hasNames(pattern)),
    timeMs: (match, defaultZone, nowMs) => timeOfGroups(match.groups ?? {}, defaultZone, nowMs),
  };
}

const epochSeconds = String.raw`\d{10,11}\b(?:\.\d{3,6})?`;
const epochLong = String.raw`\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?`;

/** Seconds since the epoch; `long` also takes 13 digits of milliseconds and 16 of microseconds. */
export function epochTemplate(
  options: Readonly<{ compile: CompilePython; lineBegin: boolean; long: boolean; weight?: number }>,
): DateTemplate {
  const digits = options.long ? epochLong : epochSeconds;
  // Floating in a line it must be the very first thing, in brackets there, or the time of an audit record.
  const source = options.lineBegin
    ? `^\\W{0,2}(${digits})${wordEdge}`
    : String.raw`((?:^|(?<=^\[)|(?<=\baudit\())${digits})${wordEdge}`;
  return {
    name: `${options.lineBegin ? lineBegin : ""}${options.long ? "LEPOCH" : "EPOCH"}`,
    anchored: options.lineBegin,
    weight: options.weight ?? 1,
    search: searcher(options.compile, source, false),
    timeMs: (match) => epochMs(match[1] ?? "", options.long),
  };
}

const embeddedEpoch = /(?<!\\)\{(L?)EPOCH\}/gi;

export function hasEmbeddedEpoch(pattern: string): boolean {
  return pattern.search(embeddedEpoch) >= 0;
}

/** A pattern with `{EPOCH}` in it. All of it is cut out of the line, as fail2ban 1.0 does, not only the number. */
export function embeddedEpochTemplate(pattern: string, compile: CompilePython): DateTemplate {
  const long = /LEPOCH/.test(pattern.includes("%") ? pattern : pattern.toUpperCase());
  const digits = long ? epochLong : epochSeconds;
  const { source, anchored } = bound(`(${pattern.replace(embeddedEpoch, () => `(${digits})`)})`, "word");
  return {
    name: pattern,
    anchored,
    weight: 1,
    search: searcher(compile, source, false),
    timeMs: (match) => epochMs(match[2] ?? "", long),
  };
}

/** `@` and 24 hexadecimal digits, as multilog writes. The leap seconds between TAI and UTC are ignored, as in fail2ban. */
export function tai64nTemplate(
  options: Readonly<{ compile: CompilePython; lineBegin: boolean; weight?: number }>,
): DateTemplate {
  return {
    name: `${options.lineBegin ? lineBegin : ""}TAI64N`,
    anchored: options.lineBegin,
    weight: options.weight ?? 1,
    search: searcher(
      options.compile,
      `${options.lineBegin ? String.raw`^\W{0,2}` : ""}(@[0-9a-f]{24})${wordEdge}`,
      false,
    ),
    timeMs: (match) => {
      // Sixteen digits of seconds; the first only says that they count from 1970.
      const seconds = Number.parseInt((match[1] ?? "").slice(2, 17), 16);
      return seconds <= timeSecondsMax ? seconds * 1000 : null;
    },
  };
}

/** Later than this no Date can be (the year 275760); a line that claims it has no time. */
const timeSecondsMax = 8.64e12;

function epochMs(digits: string, long: boolean): number | null {
  let seconds = Number(digits);
  if (long && digits.length >= 13) seconds /= digits.length >= 16 && !digits.includes(".") ? 1_000_000 : 1000;
  return seconds <= timeSecondsMax ? Math.round(seconds * 1000) : null;
}

function splitBounds(pattern: string): [Bounds, string] {
  if (pattern.startsWith(unbounded)) return ["none", pattern.slice(unbounded.length)];
  if (pattern.startsWith(lineBegin)) return ["line", pattern.slice(lineBegin.length)];
  return ["word", pattern];
}

/** Takes the words that bound a template off its front, for use inside another pattern. */
export function withoutBounds(pattern: string): string {
  return splitBounds(pattern)[1];
}

/**
 * Adds what fail2ban adds to a bare pattern: a group around everything if there is none, and an edge at each end
 * unless the pattern has its own (`^`, `$`, `\b`, `\s`) or refuses one with `**`.
 */
function bound(body: string, bounds: Bounds): { source: string; anchored: boolean } {
  let text = body.trim();
  const flags = /\(\?[a-z]+\)/.exec(text)?.[0] ?? "";
  if (flags !== "") text = text.replace(flags, "");
  const ownBegin = /^\(*(?:\^|\*\*|\((?:\?:)?\^)/.test(text);
  const ownEnd = /(?<!\\)(?:\$\)?|\\b|\\s|\*\*\)*)$/.test(text);
  if (!/(?<!\(\?)(?<!\\)\((?!\?)/.test(text)) text = text.replace(/^(\^?)(.*?)(\$?)$/, "$1($2)$3");
  const atLineBegin = /^(?:\^|\((?:\?:)?\^(?!\|))/.test(text);
  let anchored = atLineBegin || /(?<![\\|])\$\)?$/.test(text);
  // `**` at an end only says "no edge here"; it is not part of the regex.
  text = text.replace(/^\(*\*\*|(?<!\\)\*\*\)*$/g, (marks) => marks.replaceAll("**", ""));
  if (bounds !== "none" && !ownBegin) {
    text = bounds === "line" ? String.raw`^\W{0,2}${text}` : wordEdge + text;
    anchored ||= bounds === "line";
  }
  if (bounds !== "none" && !ownEnd) text += wordEdge;
  return { source: flags + text, anchored };
}

/** Compiles at the first search: most of the default templates are never asked twice, many never once. */
function searcher(compile: CompilePython, source: string, ignoreCase: boolean): DateTemplate["search"] {
  let regex: RegExp | undefined;
  return (line, from, to) => {
    regex ??= compile(source, { ignoreCase });
    regex.lastIndex = from;
    return regex.exec(to < line.length ? line.slice(0, to) : line);
  };
}

/** Group 1: what is cut out of the line. When it took no part in the match, nothing is. */
export function cutOf(match: RegExpExecArray): readonly [number, number] {
  if (match.indices !== undefined) return match.indices[1] ?? [match.index, match.index];
  // Our own templates: the group is the end of the match.
  const end = match.index + match[0].length;
  return [end - (match[1]?.length ?? 0), end];
}
