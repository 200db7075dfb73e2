import { addressBits, formatShort, type Net } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";
import { readList } from "./feed-list.ts";

/**
 * Whether a download is the list it was yesterday. Lists turn into advertisements, error pages and empty files, and the
 * firewalls of a whole fleet must not follow them.
 */
export type FeedJudgement = AcceptedList | RefusedList;
export type AcceptedList = Readonly<{
  kind: "accepted";
  /** What may be banned, each net once, in the lengths that firewalls keep for lists. */
  entries: readonly Net[];
  /** How many different nets the list names, those that are left out included: what the next one is compared with. */
  listed: number;
  badLines: number;
  leftOut: Readonly<Record<LeftOut, number>>;
  /** The first few of each kind that a person wants to know of. */
  examples: Readonly<Record<LeftOut, readonly string[]>>;
}>;
/** `sentence` names what is wrong and the remedy; it goes on after the feed's name. */
export type RefusedList = Readonly<{ kind: "refused"; why: ListRefusal; sentence: string }>;

export const listRefusals = ["grammar", "empty", "everybody", "protected", "changed", "too-many"] as const;
export type ListRefusal = (typeof listRefusals)[number];

/**
 * Why an entry is not banned: `reserved` and `never` share an address with those lists, `allowed`: the fleet allows all
 * of it, `wide`: more than `limits.widestBan`, `unusual`: of a length that firewalls keep no set for.
 */
export const leftOuts = ["reserved", "never", "allowed", "wide", "unusual"] as const;
export type LeftOut = (typeof leftOuts)[number];

/** Whom no list may ban. `allows`: the fleet's own; those of tenants shield their hosts on the hosts. */
export type FeedGuard = Readonly<{
  reserved: readonly Net[];
  nevers: readonly Net[];
  allows: readonly Net[];
  widest: Readonly<Record<4 | 6, number>>;
}>;

export type FeedLimits = Readonly<{
  /** Entries of this feed that firewalls take. */
  entriesMax: number;
  /** How many nets the last good list named; null = there is none yet, or a person has agreed to any size. */
  lastListed: number | null;
}>;

/** Of the lines. Beyond, it is no list with a mistake in it but something else. */
const badShareMax = 0.02;
/** From one list to the next. Those of the large publishers move by a few per cent a day. */
const changeShareMax = 0.3;
/** A list of a dozen moves by more than its share in a day. */
const changeMin = 10;
/** Entries with protected addresses: lists of bogons hold some. Beyond, the list is not about the internet. */
const protectedShareMax = 0.02;
const protectedMin = 20;
/** Of a short list. */
const protectedShareEver = 0.25;
/** By family: whoever lists a network as wide as this means everybody. As wide as no policy may ban. */
const everybody = { 4: 8, 6: 16 } as const;
/**
 * By family: the lengths entries are split into. A firewall looks up each length in use for every packet and keeps only
 * eight, which the fleet's own bans need as well: a list must not take the places of lengths nobody thought of.
 */
const keptLengths = { 4: [8, 12, 16, 20, 24, 28, 32], 6: [16, 32, 40, 48, 56, 64, 128] } as const;
/** Parts of one entry. No IPv4 entry has more than 8; of IPv6 some lengths would have millions. */
const partsMax = 256;
const examplesMax = 20;

export function judgeList(text: string, guard: FeedGuard, { entriesMax, lastListed }: FeedLimits): FeedJudgement {
  const { nets, lines, badLines, firstBad } = readList(text);
  const refuse = (why: ListRefusal, sentence: string): RefusedList => ({ kind: "refused", why, sentence });
  if (lines === 0) {
    return refuse("empty", "holds no entry; if that is meant, remove the feed, otherwise ask its publisher");
  }
  if (badLines > lines * badShareMax) {
    const first = `the first is line ${firstBad?.line}: "${firstBad?.text}"`;
    return refuse("grammar", `${badLines} of ${lines} lines are neither address nor network, ${first}; check its URL`);
  }
  const world = nets.find((net) => net.prefix < everybody[net.family]);
  if (world !== undefined) {
    return refuse("everybody", `lists ${formatShort(world)}, which is nearly everybody; ask its publisher`);
  }
  const changeMax = Math.max(changeMin, (lastListed ?? 0) * changeShareMax);
  if (lastListed !== null && Math.abs(nets.length - lastListed) > changeMax) {
    const change = `names ${nets.length} networks and the last good one named ${lastListed}`;
    const remedy = "look at it, and accept the new size once with `fleet2ban feeds refresh NAME --accept-size`";
    return refuse("changed", `${change}, which is more than 30 % off; ${remedy}`);
  }
  const leftOut: Record<LeftOut, Net[]> = { reserved: [], never: [], allowed: [], wide: [], unusual: [] };
  const entries = usable(nets, guard, leftOut);
  const sacred = leftOut.reserved.length + leftOut.never.length;
  const sacredMax = Math.min(nets.length * protectedShareEver, Math.max(protectedMin, nets.length * protectedShareMax));
  if (sacred > sacredMax) {
    const [first] = [...leftOut.never, ...leftOut.reserved];
    const shown = first === undefined ? "" : `, ${formatShort(first)} for one`;
    const remedy = "it is not a list of attackers on the internet; ask its publisher";
    return refuse("protected", `${sacred} of its ${nets.length} entries hold protected addresses${shown}; ${remedy}`);
  }
  if (entries.length > entriesMax) {
    const remedy = "take a smaller list, or raise the feed's `entriesMax` if your firewalls have the memory";
    return refuse("too-many", `${entries.length} entries are more than the ${entriesMax} it may have; ${remedy}`);
  }
  const shown = (nets: readonly Net[]) => nets.slice(0, examplesMax).map(formatShort);
  const by = <Value>(of: (nets: readonly Net[]) => Value) =>
    Object.fromEntries(leftOuts.map((why) => [why, of(leftOut[why])])) as Record<LeftOut, Value>;
  return {
    kind: "accepted",
    ...{ entries, listed: nets.length, badLines },
    leftOut: by((each) => each.length),
    examples: by(shown),
  };
}

/** What is left of the list once everything is out that may not be banned. */
function usable(nets: readonly Net[], guard: FeedGuard, leftOut: Record<LeftOut, Net[]>): readonly Net[] {
  const protecting = protections(nets, guard);
  const allows = new CidrTable<true>();
  for (const net of guard.allows) allows.set(net, true);
  const entries = new CidrTable<true>();
  for (const net of nets) {
    const why = protecting(net) ?? (allows.covers(net) ? "allowed" : tooWide(net, guard) ? "wide" : undefined);
    const parts = why === undefined ? partsOf(net) : undefined;
    if (parts === undefined) leftOut[why ?? "unusual"].push(net);
    else for (const part of parts) entries.set(part, true);
  }
  return [...entries.entries()].map((entry) => entry.net);
}

const tooWide = (net: Net, { widest }: FeedGuard): boolean => net.prefix < widest[net.family];

/** One look-up per entry and one per protected net: a scan of one for each of the other would take seconds. */
function protections(nets: readonly Net[], guard: FeedGuard): (net: Net) => "reserved" | "never" | undefined {
  const listed = new CidrTable<true>();
  for (const net of nets) listed.set(net, true);
  const tables = { never: new CidrTable<true>(), reserved: new CidrTable<true>() };
  const around = { never: new CidrTable<true>(), reserved: new CidrTable<true>() };
  for (const [kind, protectedNets] of [
    ["never", guard.nevers],
    ["reserved", guard.reserved],
  ] as const) {
    for (const net of protectedNets) {
      tables[kind].set(net, true);
      for (const entry of listed.covering(net)) around[kind].set(entry.net, true);
    }
  }
  const holds = (kind: "never" | "reserved", net: Net): boolean =>
    tables[kind].covers(net) || around[kind].get(net) === true;
  return (net) => (holds("never", net) ? "never" : holds("reserved", net) ? "reserved" : undefined);
}

/** The same addresses in lengths that firewalls keep; undefined when that would be too many. */
function partsOf(net: Net): readonly Net[] | undefined {
  const length = keptLengths[net.family].find((kept) => kept >= net.prefix) ?? addressBits[net.family];
  if (length === net.prefix) return [net];
  const count = 2 ** (length - net.prefix);
  if (count > partsMax) return undefined;
  return Array.from({ length: count }, (_, index): Net => {
    if (net.family === 4) return { family: 4, value: net.value + index * 2 ** (32 - length), prefix: length };
    return { family: 6, value: net.value + (BigInt(index) << BigInt(128 - length)), prefix: length };
  });
}
