import { type CompilePython, type DateTemplate, epochTemplate, patternTemplate, tai64nTemplate } from "./template.ts";

/**
 * The forms of date fail2ban looks for when a filter names none, in its order: the order decides which form wins where
 * two match. Composed here from their parts.
 */
const clock = "%H:%M:%S";
const looseClock = "%k:%M:%S";
const dotFraction = String.raw`(?:\.%f)?`;
const anyFraction = "(?:[.,]%f)?";
const laxZone = String.raw`(?:\s*%z)?`;
const blanks = "(?:T|  ?)";
const monthDay = "(?:%a )?%b %d";
const laterYear = "(?: %ExY)?";
const separated = (first: string, second: string, third: string, marks: string): string =>
  `${first}(?P<_sep>[${marks}])${second}(?P=_sep)${third}`;

const iso8601 = separated("%ExY", "%m", "%d", "-/.") + blanks + clock + anyFraction + laxZone;
const syslog = `${monthDay} ${looseClock}${dotFraction}${laterYear}`;

/** In order; `EPOCH` and `TAI64N` are forms of their own, not patterns. */
export const defaultPatterns: readonly string[] = [
  iso8601,
  syslog,
  `${monthDay} %ExY ${looseClock}${dotFraction}`,
  `${separated("%d", "%m", "(?:%ExY|%Exy)", "-/")} ${looseClock}`,
  `${separated("%d", "%b", "%ExY", "-/")}[ :]?${clock}${dotFraction}(?: %z)?`,
  `%m/%d/%ExY:${clock}`,
  `%m-%d-%ExY ${looseClock}${dotFraction}`,
  "EPOCH",
  `{^LN-BEG}${clock}`,
  `^<%m/%d/%Exy@${clock}>`,
  `%Exy%Exm%Exd  ?${clock}`,
  "%b %d, %ExY %I:%M:%S %p",
  `^%b-%d-%Exy ${looseClock}`,
  `%ExY%Exm%Exd${blanks}%ExH%ExM%ExS${anyFraction}${laxZone}`,
  `(?:%Z )?${syslog}`,
  `(?:%z )?${syslog}`,
  "TAI64N",
];

export const fastPatterns = { iso8601: `{^LN-BEG}${iso8601}`, syslog: `{^LN-BEG}${syslog}` } as const;

/** A date at the line's start is the line's own date: its template outweighs one that found a date in the message. */
const lineBeginWeight = 100;

/** All of the defaults: first the line-begin variant of each that floats, then the originals. */
export function defaultTemplates(compile: CompilePython, latestYear: number): readonly DateTemplate[] {
  const make = (pattern: string, lineBegin: boolean): DateTemplate => {
    const weight = lineBegin ? lineBeginWeight : 1;
    if (pattern === "EPOCH") return epochTemplate({ compile, lineBegin, long: false, weight });
    if (pattern === "TAI64N") return tai64nTemplate({ compile, lineBegin, weight });
    return patternTemplate(lineBegin ? `{^LN-BEG}${pattern}` : pattern, { compile, latestYear, weight });
  };
  const floating = defaultPatterns.filter((pattern) => !pattern.startsWith("{^LN-BEG}") && !pattern.startsWith("^"));
  return [...floating.map((pattern) => make(pattern, true)), ...defaultPatterns.map((pattern) => make(pattern, false))];
}
