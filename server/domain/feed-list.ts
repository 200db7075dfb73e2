import { type Net, parseAddress, parseNet } from "../../shared/address.ts";

/** What somebody else's list says, line by line. */
export type ReadList = Readonly<{
  /** Each once, in the list's order. */
  nets: readonly Net[];
  /** Lines that say something: neither empty nor comments. */
  lines: number;
  badLines: number;
  /** Null when there is none. */
  firstBad: Readonly<{ line: number; text: string }> | null;
}>;

/** As much of a bad line as a person needs to see what came instead of a list. */
const shownLength = 60;
const commentMarks = /[#;]/;
/** `192.0.2.1<tab>7`: some lists say how often they saw it. */
const countPattern = /^\d{1,9}$/;

/**
 * Reads a list in the form most are published in: an address or a network a line, `#` and `;` begin comments, and a
 * number may follow. Also JSON lines with a `cidr`, as Spamhaus publishes DROP.
 */
export function readList(text: string): ReadList {
  const nets = new Map<string, Net>();
  let lines = 0;
  let badLines = 0;
  let firstBad: ReadList["firstBad"] = null;
  let number = 0;
  for (const raw of linesOf(text)) {
    number += 1;
    const line = raw.trim();
    if (line === "" || commentMarks.test(line.charAt(0))) continue;
    const said = line.startsWith("{") ? jsonEntry(line) : plainEntry(line);
    if (said === null) continue;
    lines += 1;
    const net = said === undefined ? undefined : exactNet(said);
    if (net !== undefined) {
      nets.set(`${net.value}/${net.prefix}/${net.family}`, net);
      continue;
    }
    badLines += 1;
    firstBad ??= { line: number, text: shown(line) };
  }
  return { nets: [...nets.values()], lines, badLines, firstBad };
}

/** Not `split`: a list is megabytes, and the array of its lines as much again. */
function* linesOf(text: string): Generator<string> {
  // A byte order mark is no part of the first line.
  let from = text.startsWith("\ufeff") ? 1 : 0;
  while (from < text.length) {
    const end = text.indexOf("\n", from);
    yield text.slice(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
  }
}

function plainEntry(line: string): string | undefined {
  const [entry, count, ...more] = line.split(commentMarks, 1)[0]?.trim().split(/\s+/) ?? [];
  const isCounted = count === undefined || countPattern.test(count);
  return isCounted && more.length === 0 ? entry : undefined;
}

/** @returns null for a line about the list itself, undefined for anything else that is no entry */
function jsonEntry(line: string): string | null | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if ("cidr" in value && typeof value.cidr === "string") return value.cidr;
  return "type" in value && value.type === "metadata" ? null : undefined;
}

/** `192.0.2.7/24` may mean the one address or all 256: whoever wrote it did not say. */
function exactNet(text: string): Net | undefined {
  const net = parseNet(text);
  const slash = text.indexOf("/");
  if (net === undefined || slash < 0) return net;
  return parseAddress(text.slice(0, slash))?.value === net.value ? net : undefined;
}

function shown(line: string): string {
  const plain = line.replaceAll(/[^\x20-\x7e]/g, "?");
  return plain.length > shownLength ? `${plain.slice(0, shownLength)}…` : plain;
}
