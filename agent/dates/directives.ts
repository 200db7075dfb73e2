import { dateOfYearDay, resolveWallTime, utcMidnightMs } from "./wall-time.ts";
import { zoneMinutes } from "./zone.ts";

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const monthNames = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const weekdayNames = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const group = (name: string, source: string): string => `(?P<${name}>${source})`;
/** Python's own day: blank-padded, longest first. */
const paddedDay = group("d", String.raw`3[01]|[12]\d|0[1-9]|[1-9]| [1-9]`);
const anyTime = [
  group("H", String.raw`2[0-3]|[01]\d|\d`),
  group("M", String.raw`[0-5]\d|\d`),
  group("S", String.raw`6[01]|[0-5]\d|\d`),
].join(":");
const abbreviation = "[A-Z](?:[A-Z]{2,4})?";
const offset = String.raw`[+-][01]\d(?::?\d{2})?`;

/** The regex of each directive, in Python's syntax. The order of alternatives decides what a sloppy pattern matches. */
function directiveSources(latestYear: number): Readonly<Record<string, string>> {
  const month = group("b", months.join("|"));
  const weekday = group("a", weekdays.join("|"));
  const longestFirst = (names: readonly string[]) =>
    names.toSorted((one, other) => other.length - one.length).join("|");
  return {
    d: group("d", String.raw`[12]\d|[0 ]?[1-9]|3[01]`),
    m: group("m", "0?[1-9]|1[0-2]"),
    Y: group("Y", String.raw`\d{4}`),
    y: group("y", String.raw`\d\d`),
    H: group("H", String.raw`[01]?\d|2[0-3]`),
    I: group("I", "1[0-2]|0[1-9]|[1-9]"),
    M: group("M", String.raw`[0-5]?\d`),
    S: group("S", String.raw`[0-5]?\d|6[01]`),
    f: group("f", String.raw`\d{1,6}`),
    j: group("j", String.raw`36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]`),
    U: group("U", String.raw`5[0-3]|[0-4]\d|\d`),
    W: group("W", String.raw`5[0-3]|[0-4]\d|\d`),
    V: group("V", String.raw`5[0-3]|0[1-9]|[1-4]\d|\d`),
    G: group("G", String.raw`\d{4}`),
    w: group("w", "[0-6]"),
    u: group("u", "[1-7]"),
    k: ` ?${group("H", String.raw`[0-2]?\d`)}`,
    l: ` ?${group("I", String.raw`1?\d`)}`,
    a: weekday,
    A: group("A", longestFirst(weekdayNames)),
    b: month,
    B: group("B", longestFirst(monthNames)),
    p: group("p", "am|pm"),
    z: group("z", `Z|UTC|GMT|${offset}`),
    Z: group("Z", "Z|[A-Z]{3,5}"),
    c: String.raw`${weekday}\s+${month}\s+${paddedDay}\s+${anyTime}\s+${group("Y", String.raw`\d{4}`)}`,
    x: [group("m", "1[0-2]|0[1-9]|[1-9]"), paddedDay, group("y", String.raw`\d\d`)].join("/"),
    X: anyTime,
    "%": "%",
    Exd: group("d", String.raw`[12]\d|0[1-9]|3[01]`),
    Exm: group("m", "0[1-9]|1[0-2]"),
    ExH: group("H", String.raw`[01]\d|2[0-3]`),
    Exk: ` ?${group("H", String.raw`[01]?\d|2[0-3]`)}`,
    Exl: ` ?${group("I", String.raw`1[0-2]|\d`)}`,
    ExM: group("M", String.raw`[0-5]\d`),
    ExS: group("S", String.raw`[0-5]\d|6[01]`),
    // A year far ahead is no year: `2099` in a message must not be taken for a date.
    ExY: group("Y", String.raw`20[0-${Math.floor((latestYear % 100) / 10)}]\d`),
    Exy: group("y", String.raw`\d{2}`),
    Exz: group("z", `(?:${abbreviation})?${offset}|${abbreviation}`),
    ExZ: group("Z", abbreviation),
  };
}

/** Replaces the `%` directives of a date pattern by their regexes; the result is a Python regex. */
export function expandDirectives(pattern: string, latestYear: number): string {
  const sources = directiveSources(latestYear);
  return pattern.replace(/%(Ex[a-zA-Z]|.)/gs, (whole, name: string) => {
    const source = sources[name];
    if (source === undefined) throw new SyntaxError(`${whole} is not a directive; a literal % is written %%`);
    return source;
  });
}

/** Names are read in any case: a pattern with one of them ignores case as a whole. */
export function hasNames(pattern: string): boolean {
  return /(?<!%)%[aAbBpc]/.test(pattern);
}

export type Groups = Readonly<Record<string, string | undefined>>;

/** The time the groups of a matched date name, or null when they name none. `defaultZone` is the jail's `logtimezone`. */
export function timeOfGroups(groups: Groups, defaultZone: number | null, nowMs: number): number | null {
  const zoneText = groups.z ?? groups.Z;
  const zone = zoneText === undefined ? defaultZone : zoneMinutes(zoneText);
  const month = monthOf(groups);
  const hour = hourOf(groups);
  if (zone === undefined || month === undefined) return null;
  const day = numberOf(groups.d);
  let date: Readonly<{ year: number | null; month: number | null; day: number | null }> = {
    year: yearOf(groups),
    month,
    day,
  };
  if (month === null || day === null) {
    const year = date.year ?? new Date(nowMs).getFullYear();
    const yearDay = numberOf(groups.j) ?? yearDayOfWeek(groups, year);
    if (yearDay !== null) {
      const found = dateOfYearDay(year, yearDay);
      if (found === null) return null;
      // A year that was assumed stays open to the check against the future.
      date = { ...found, year: date.year === null ? null : found.year };
    }
  }
  return resolveWallTime(
    { ...date, hour, minute: numberOf(groups.M) ?? 0, second: numberOf(groups.S) ?? 0, zoneMinutes: zone },
    nowMs,
  );
}

function numberOf(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

function yearOf(groups: Groups): number | null {
  const short = numberOf(groups.y);
  return numberOf(groups.Y) ?? (short === null ? null : 2000 + short);
}

/** undefined = the text names no month. */
function monthOf(groups: Groups): number | null | undefined {
  const name = groups.b ?? groups.B;
  if (name === undefined) return numberOf(groups.m);
  const index = (groups.b === undefined ? monthNames : months).indexOf(name.toLowerCase());
  return index < 0 ? undefined : index + 1;
}

function hourOf(groups: Groups): number {
  const hour12 = numberOf(groups.I);
  if (hour12 === null) return numberOf(groups.H) ?? 0;
  const afternoon = groups.p?.toLowerCase() === "pm";
  if (hour12 === 12) return afternoon ? 12 : 0;
  return afternoon ? hour12 + 12 : hour12;
}

/** The day of the year from week of the year and day of the week, weeks starting on Sunday (`%U`) or Monday (`%W`). */
function yearDayOfWeek(groups: Groups, year: number): number | null {
  const sundayWeeks = groups.W === undefined;
  const week = numberOf(groups.W ?? groups.U);
  const weekday = weekdayOf(groups);
  const newYearMs = utcMidnightMs(year, 1, 1);
  if (week === null || weekday === null || newYearMs === null) return null;
  const shift = sundayWeeks ? 1 : 0;
  const firstWeekday = (new Date(newYearMs).getUTCDay() + 6 + shift) % 7;
  const day = (weekday + shift) % 7;
  if (week === 0) return 1 + day - firstWeekday;
  return 1 + ((7 - firstWeekday) % 7) + 7 * (week - 1) + day;
}

/** 0 = Monday. */
function weekdayOf(groups: Groups): number | null {
  const short = groups.a?.toLowerCase();
  if (short !== undefined) return weekdays.indexOf(short);
  const long = groups.A?.toLowerCase();
  if (long !== undefined) return weekdayNames.indexOf(long);
  const number = numberOf(groups.w);
  return number === null ? null : (number + 6) % 7;
}
