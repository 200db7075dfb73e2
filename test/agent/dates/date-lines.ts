/** A small seeded generator (mulberry32): a failing case can be run again. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const weekdayNames = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const two = (value: number): string => String(value).padStart(2, "0");
const padded = (value: number): string => String(value).padStart(2, " ");

/** Every form of date the default templates know, and near misses. */
const forms: readonly ((at: Date, pick: <T>(from: readonly T[]) => T) => string)[] = [
  (at, pick) => {
    const mark = pick(["-", "/", "."]);
    const day = [at.getUTCFullYear(), two(at.getUTCMonth() + 1), two(at.getUTCDate())].join(mark);
    return `${day}${pick(["T", " ", "  "])}${clock(at)}${pick(["", "", ".5", ",123", ".123456", ".1234567"])}${pick(zones)}`;
  },
  (at, pick) =>
    `${pick(weekdays(at))}${monthOf(at)} ${padded(at.getUTCDate())} ${clock(at)}${pick(["", ".011", " 2005", ".1 2019"])}`,
  (at) => `${monthOf(at)} ${at.getUTCDate()} ${at.getUTCHours()}:${at.getUTCMinutes()}:${at.getUTCSeconds()}`,
  (at, pick) => `${pick(weekdays(at))}${monthOf(at)} ${two(at.getUTCDate())} ${at.getUTCFullYear()} ${clock(at)}`,
  (at, pick) => {
    const mark = pick(["-", "/"]);
    const year = pick([String(at.getUTCFullYear()), two(at.getUTCFullYear() % 100)]);
    return `${two(at.getUTCDate())}${mark}${two(at.getUTCMonth() + 1)}${mark}${year} ${clock(at)}`;
  },
  (at, pick) =>
    `${two(at.getUTCDate())}/${monthOf(at)}/${at.getUTCFullYear()}${pick([":", " ", ""])}${clock(at)}${pick(["", " +0200", " -0330", " Z"])}`,
  (at) => `${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/${at.getUTCFullYear()}:${clock(at)}`,
  (at) => `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}-${at.getUTCFullYear()} ${clock(at)}.252`,
  (at, pick) => `${Math.floor(at.getTime() / 1000)}${pick(["", ".123", ".123456", ".1"])}`,
  (at) => `[${Math.floor(at.getTime() / 1000)}]`,
  (at) => `type=X msg=audit(${Math.floor(at.getTime() / 1000)}.123:381)`,
  (at) => clock(at),
  (at) => `<${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/${two(at.getUTCFullYear() % 100)}@${clock(at)}>`,
  (at, pick) =>
    `${two(at.getUTCFullYear() % 100)}${two(at.getUTCMonth() + 1)}${two(at.getUTCDate())}${pick([" ", "  "])}${clock(at)}`,
  (at, pick) =>
    `${monthOf(at)} ${at.getUTCDate()}, ${at.getUTCFullYear()} ${(at.getUTCHours() % 12) + 1}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} ${pick(["AM", "PM", "am"])}`,
  (at) => `${monthOf(at)}-${two(at.getUTCDate())}-${two(at.getUTCFullYear() % 100)} ${clock(at)}`,
  (at, pick) =>
    `${at.getUTCFullYear()}${two(at.getUTCMonth() + 1)}${two(at.getUTCDate())}${pick(["T", " "])}${two(at.getUTCHours())}${two(at.getUTCMinutes())}${two(at.getUTCSeconds())}${pick(["", "Z", " +01:00", ".5"])}`,
  (at, pick) => `${pick(["CET", "PDT", "UTC", "error", "XYZ"])} ${monthOf(at)} ${padded(at.getUTCDate())} ${clock(at)}`,
  (at, pick) => `${pick(["+00:00", "-0530", "GMT"])} ${monthOf(at)} ${padded(at.getUTCDate())} ${clock(at)} 2018`,
  (at) => `@40000000${Math.floor(at.getTime() / 1000).toString(16)}1a2b3c4d`.slice(0, 25),
  (at) => `${at.getUTCFullYear()}-02-30 ${clock(at)}`,
  (at) => `${at.getUTCFullYear()}-13-01 ${clock(at)}`,
  (at) => `${monthOf(at)} 31 ${two(at.getUTCHours() + 10)}:00:61`,
  () => "no date here at all",
  () => "2099-01-01 00:00:00",
];

const zones = ["", "", "Z", "+02:00", " -0330", "+05", " UTC", "  Z", " Zulu", "-0100x", " +hello", "GMT"];

/** A line with a date of a random form, time and place. */
export function randomLine(random: () => number, form = Math.floor(random() * forms.length), begins?: string): string {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const date = forms[form]?.(new Date(1_104_537_600_000 + Math.floor(random() * 6.7e11)), pick) ?? "";
  const before = begins ?? pick(["", "", "", "", "[", "- ", "host app[12]: ", "é", "x", "a 2011-01-01 10:00:00 ", "1"]);
  const after = pick([
    "",
    " host sshd[1]: Failed",
    "] x",
    ": y",
    ",z",
    " 2005 z",
    "é",
    "w",
    "  ",
    " Dec 31 10:00:00 b",
    "\t- c",
  ]);
  return before + date + after;
}

export const formCount = forms.length;

function clock(at: Date): string {
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

function monthOf(at: Date): string {
  return monthNames[at.getUTCMonth()] ?? "";
}

function weekdays(at: Date): readonly string[] {
  return ["", `${weekdayNames[at.getUTCDay()] ?? ""} `, ""];
}
