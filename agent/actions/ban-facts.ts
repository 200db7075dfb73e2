import { parseNet } from "../../shared/address.ts";
import { secondMs } from "../../shared/durations.ts";
import type { Family } from "./fill-tags.ts";

/** What an action may be told of one ban. */
export type BanFacts = Readonly<{
  id: string;
  /** null when the id is no address. */
  net: string | null;
  failures: number;
  atMs: number;
  /** null = for ever. */
  banTimeMs: number | null;
  earlierBans: number;
  lines: readonly string[];
  data: ReadonlyMap<string, string>;
  /** After a restart, not new. */
  restored: boolean;
}>;

/** Numbers of a jail, for `<jail.banned>` and the like. */
export type JailNumbers = Readonly<{ banned: number; bannedTotal: number; found: number; foundTotal: number }>;

/** Facts of no ban: what `actionstart` and `actionstop` see. */
export function noBan(nowMs: number): BanFacts {
  const numbers = { failures: 0, atMs: nowMs, banTimeMs: null, earlierBans: 0 };
  return { id: "", net: null, ...numbers, lines: [], data: new Map(), restored: false };
}

export function familyOf({ net }: BanFacts): Family {
  const family = net === null ? undefined : parseNet(net)?.family;
  return family === undefined ? "" : `inet${family}`;
}

/** The values of the tags that need no look-up. Tags over all bans of an address know this ban only. */
export function tagValues(facts: BanFacts, jail: string, numbers: JailNumbers): Map<string, string> {
  const ip = facts.net ?? facts.id;
  const matches = facts.lines.join("\n");
  const failures = String(facts.failures);
  return new Map([
    ["ip", ip],
    ["family", familyOf(facts)],
    ["ip-rev", reversed(facts.net)],
    ["fid", facts.id],
    ["failures", failures],
    ["time", String(facts.atMs / secondMs)],
    ["bantime", facts.banTimeMs === null ? "-1" : String(Math.floor(facts.banTimeMs / secondMs))],
    ["bancount", String(facts.earlierBans + 1)],
    ["matches", matches],
    ["restored", facts.restored ? "1" : "0"],
    ["ipmatches", matches],
    ["ipjailmatches", matches],
    ["ipfailures", failures],
    ["ipjailfailures", failures],
    ["raw-ticket", JSON.stringify({ ...facts, data: Object.fromEntries(facts.data) })],
    ["jail.name", jail],
    ["jail.banned", String(numbers.banned)],
    ["jail.banned_total", String(numbers.bannedTotal)],
    ["jail.found", String(numbers.found)],
    ["jail.found_total", String(numbers.foundTotal)],
  ]);
}

/** `7.2.0.192.`: in front of a DNS list's name it asks that list. */
function reversed(net: string | null): string {
  const parsed = net === null ? undefined : parseNet(net);
  if (parsed === undefined || net === null) return "";
  if (parsed.family === 4) return `${net.split(".").toReversed().join(".")}.`;
  const digits = parsed.value.toString(16).padStart(32, "0");
  return `${[...digits].toReversed().join(".")}.`;
}
