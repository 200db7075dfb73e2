import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import type { PreparedRegex } from "../settings/jail-settings.ts";
import { expandTags, groupNameOf } from "./expand-tags.ts";
import { PythonRegex } from "./python-regex.ts";

/** A regex of a filter and where it stands, for messages and for the watchdog. */
export type FilterRegex = {
  readonly place: string;
  readonly regex: PythonRegex;
  /** Groups that are kept, with their capture numbers. */
  readonly groups: readonly (readonly [name: string, number: number])[];
  /** Numbers of the groups the filter itself asks for; -1 = the regex has none of that name. */
  readonly asked: AskedGroups;
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

const askedNames = ["fid", "ip4", "ip6", "dns", "cidr", "user", "mlfid"] as const;
type AskedGroups = Readonly<Record<(typeof askedNames)[number], number>>;

/** Groups of which a failregex needs one, or no failure could be attributed. */
const identityGroups = ["fid", "ip4", "ip6", "dns", "mlfid"];

/**
 * Prepares one regex of a filter.
 *
 * @throws Fleet2banError `invalid` naming filter, place and reason
 */
export function compileFilterRegex(
  text: string,
  options: Readonly<{
    filter: string;
    place: string;
    names: boolean;
    multiline: boolean;
    prepared?: PreparedRegex | undefined;
  }>,
): FilterRegex {
  const place = `filter "${options.filter}": ${options.place}`;
  let regex: PythonRegex;
  try {
    regex = new PythonRegex(expandTags(text, options.names), { multiline: options.multiline }, options.prepared);
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
  const lost = regex.forgetful.find((name) => identityGroups.includes(name) || internalGroups.has(name));
  if (lost !== undefined) {
    throw new Fleet2banError(
      "invalid",
      `${place}: "${lost}" stands in a repetition that may forget it; write what names the address once, outside of it`,
    );
  }
  const isSkipped = (name: string) => /^skiplines\d+$/.test(name);
  return {
    place,
    regex,
    groups: [...regex.groups].filter(([name]) => !isSkipped(name) && !internalGroups.has(name)),
    asked: askedOf(regex),
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

function askedOf({ groups }: PythonRegex): AskedGroups {
  const [fid, ip4, ip6, dns, cidr, user, mlfid] = askedNames.map((name) => groups.get(name) ?? -1);
  return {
    fid: fid ?? -1,
    ip4: ip4 ?? -1,
    ip6: ip6 ?? -1,
    dns: dns ?? -1,
    cidr: cidr ?? -1,
    user: user ?? -1,
    mlfid: mlfid ?? -1,
  };
}

function marksOf({ groups }: PythonRegex): FilterRegex["marks"] {
  const [nofail, mlfgained, mlfforget] = [groups.get("nofail"), groups.get("mlfgained"), groups.get("mlfforget")];
  if (nofail === undefined && mlfgained === undefined && mlfforget === undefined) return null;
  return { nofail: nofail ?? -1, mlfgained: mlfgained ?? -1, mlfforget: mlfforget ?? -1 };
}

/** What a line means for its connection, as bits: no failure by itself, a success (so no failure either), its end. */
export const marks = { harmless: 1, gained: 2, forget: 4 } as const;

/** The marks a match sets; any text but the empty one sets a mark. */
export function marksIn({ regex, match }: Readonly<{ regex: FilterRegex; match: RegExpExecArray }>): number {
  if (regex.marks === null) return 0;
  const gained = isSet(match, regex.marks.mlfgained) ? marks.gained | marks.harmless : 0;
  const harmless = isSet(match, regex.marks.nofail) ? marks.harmless : 0;
  return gained | harmless | (isSet(match, regex.marks.mlfforget) ? marks.forget : 0);
}

function isSet(match: RegExpExecArray, number: number): boolean {
  return number >= 0 && (match[number] ?? "") !== "";
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
