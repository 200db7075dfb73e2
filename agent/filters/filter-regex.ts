import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { expandTags, groupNameOf } from "./expand-tags.ts";
import { PythonRegex } from "./python-regex.ts";

/** A regex of a filter and where it stands, for messages and for the watchdog. */
export type FilterRegex = {
  readonly place: string;
  readonly regex: PythonRegex;
  /** Groups that are kept, with their capture numbers. */
  readonly groups: readonly (readonly [name: string, number: number])[];
  /** `alt_user` fills `user` when that is empty: [from, to], in the order in which they are tried. */
  readonly alternatives: readonly (readonly [from: string, to: string])[];
  /** Numbers of the groups that `<SKIPLINES>` made, in order. */
  readonly skipped: readonly number[];
  readonly content: number | undefined;
  /** Numbers of the groups that say what a line means for its connection; most regexes have none. */
  readonly marks: Readonly<{ nofail: number; mlfgained: number; mlfforget: number }> | null;
  /** Set by the watchdog: the regex takes too long on long lines, or on any. */
  suspended: "never" | "longLines" | "always";
};

/** Groups of which a failregex needs one, or no failure could be attributed. */
const identityGroups = ["fid", "ip4", "ip6", "dns", "mlfid"];

/**
 * Prepares one regex of a filter.
 *
 * @throws Fleet2banError `invalid` naming filter, place and reason
 */
export function compileFilterRegex(
  text: string,
  options: Readonly<{ filter: string; place: string; names: boolean; multiline: boolean }>,
): FilterRegex {
  const place = `filter "${options.filter}": ${options.place}`;
  let regex: PythonRegex;
  try {
    regex = new PythonRegex(expandTags(text, options.names), { multiline: options.multiline });
  } catch (cause) {
    throw new Fleet2banError("invalid", `${place}: ${messageOf(cause)}; correct or remove it`, { cause });
  }
  const names = [...regex.groups.keys()];
  const tuple = names.find((name) => name.startsWith("tuple_"));
  if (tuple !== undefined) {
    throw new Fleet2banError(
      "invalid",
      `${place}: tag <F-${tuple.toUpperCase()}> is not supported; use one <F-…> tag per value`,
    );
  }
  const isSkipped = (name: string) => /^skiplines\d+$/.test(name);
  return {
    place,
    regex,
    groups: [...regex.groups].filter(([name]) => !isSkipped(name) && !internalGroups.has(name)),
    marks: marksOf(regex),
    alternatives: names
      .filter((name) => name.length > 4)
      .flatMap(alternativeOf)
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
    skipped: [...regex.groups].flatMap(([name, number]) => (isSkipped(name) ? [number] : [])),
    content: regex.groups.get("content"),
    suspended: "never",
  };
}

const internalGroups = new Set(["content", "nofail", "mlfgained", "mlfforget"]);

function marksOf({ groups }: PythonRegex): FilterRegex["marks"] {
  const [nofail, mlfgained, mlfforget] = [groups.get("nofail"), groups.get("mlfgained"), groups.get("mlfforget")];
  if (nofail === undefined && mlfgained === undefined && mlfforget === undefined) return null;
  return { nofail: nofail ?? -1, mlfgained: mlfgained ?? -1, mlfforget: mlfforget ?? -1 };
}

/** What a line means for its connection: no failure by itself, a success, the end. */
export type Marks = { harmless: boolean; gained: boolean; forget: boolean };

/** Adds what a match says; a mark is set by any text but the empty one. */
export function addMarks(into: Marks, each: FilterRegex, match: RegExpExecArray): void {
  if (each.marks === null) return;
  const isSet = (number: number) => (match[number] ?? "") !== "";
  into.gained ||= isSet(each.marks.mlfgained);
  into.harmless ||= into.gained || isSet(each.marks.nofail);
  into.forget ||= isSet(each.marks.mlfforget);
}

/** @throws Fleet2banError `invalid` when neither the failregex nor the prefregex captures whom to blame */
export function requireIdentity(failRegex: FilterRegex, prefRegex: FilterRegex | null): void {
  const captured = [failRegex, prefRegex].some((each) => identityGroups.some((name) => each?.regex.groups.has(name)));
  if (!captured) {
    throw new Fleet2banError("invalid", `${failRegex.place}: no tag says whom to blame; add <HOST>, <ADDR> or <F-ID>`);
  }
}

function alternativeOf(name: string): [string, string][] {
  const [, target] = /^alt_(.*?)(?:_\d+)?$/.exec(name) ?? [];
  return target === undefined ? [] : [[name, groupNameOf(target)]];
}

/** Adds what a match captured; groups that took no part leave what was there (as fail2ban 1.1 has it). */
export function addGroups(into: Map<string, string>, each: FilterRegex, match: RegExpExecArray): void {
  for (const [name, number] of each.groups) {
    const text = match[number];
    if (text !== undefined) into.set(name, text);
  }
  if (each.alternatives.length === 0) return;
  const filled = new Set<string>();
  for (const [from, to] of each.alternatives) {
    const text = match[each.regex.groups.get(from) ?? -1] ?? "";
    const own = match[each.regex.groups.get(to) ?? -1] ?? "";
    if (text === "" || own !== "" || filled.has(to)) continue;
    into.set(to, text);
    filled.add(to);
  }
}
