import { addGroups, type FilterRegex } from "./filter-regex.ts";

/** Lines of one connection whose matches are kept apart; older ones are added up, so that a long connection stays small. */
const chainLengthMax = 8;

/** One regex that matched one text. */
export type Search = Readonly<{ regex: FilterRegex; text: string; match: RegExpExecArray; ascii: boolean }>;

/**
 * What the regexes captured of a line, and before it of its connection; the newest text of a name counts. What the
 * filter itself asks for are plain fields. All the rest is searched again when somebody asks, because most failures are
 * only counted: maps of all groups took a third of the time of a matched line, and keeping every match until a chunk was
 * done another fifth, in the garbage collector.
 */
export class CapturedGroups implements ReadonlyMap<string, string> {
  fid: string | undefined;
  ip4: string | undefined;
  ip6: string | undefined;
  dns: string | undefined;
  cidr: string | undefined;
  user: string | undefined;
  readonly mlfid: string | undefined;
  readonly #regex: FilterRegex;
  readonly #text: string;
  readonly #ascii: boolean;
  #older: CapturedGroups | null;
  /** Sum of this and everything older, once it was asked for. */
  #all: Map<string, string> | null = null;
  #chainLength: number;

  /** @param older  of the same line: what the prefregex captured */
  constructor({ regex, text, match, ascii }: Search, older: CapturedGroups | null) {
    this.#regex = regex;
    this.#text = text;
    this.#ascii = ascii;
    this.#older = older;
    this.#chainLength = older === null ? 1 : older.#chainLength + 1;
    const { asked } = regex;
    const own = regex.alternatives.length === 0 ? null : ownGroups(regex, match);
    this.fid = own === null ? textOf(match, asked.fid) : own.get("fid");
    this.ip4 = own === null ? textOf(match, asked.ip4) : own.get("ip4");
    this.ip6 = own === null ? textOf(match, asked.ip6) : own.get("ip6");
    this.dns = own === null ? textOf(match, asked.dns) : own.get("dns");
    this.cidr = own === null ? textOf(match, asked.cidr) : own.get("cidr");
    this.user = own === null ? textOf(match, asked.user) : own.get("user");
    this.mlfid = textOf(match, asked.mlfid) ?? older?.mlfid;
    if (older !== null) this.#inherit(older);
  }

  /** Goes on after the earlier lines of the connection. */
  continueFrom(older: CapturedGroups): void {
    const before = older.#chainLength >= chainLengthMax ? older.#collapsed() : older;
    (this.#older ?? this).#older = before;
    this.#chainLength += before.#chainLength;
    // The newest address counts, whatever family the older one had: process ids come again, with another peer.
    const { ip4, ip6, dns, cidr } = this;
    const hasAddress = ip4 !== undefined || ip6 !== undefined || dns !== undefined;
    this.#inherit(before);
    if (hasAddress) Object.assign(this, { ip4, ip6, dns, cidr });
  }

  #inherit(older: CapturedGroups): void {
    this.fid ??= older.fid;
    this.ip4 ??= older.ip4;
    this.ip6 ??= older.ip6;
    this.dns ??= older.dns;
    this.cidr ??= older.cidr;
    this.user ??= older.user;
  }

  /** The same without its past, which is added up. */
  #collapsed(): CapturedGroups {
    this.#all = this.#map();
    this.#older = null;
    this.#chainLength = 1;
    return this;
  }

  #map(): Map<string, string> {
    if (this.#all !== null) return this.#all;
    const all = new Map(this.#older === null ? [] : this.#older.#map());
    const match = this.#regex.regex.search(this.#text, this.#ascii);
    if (match !== null) addGroups(all, this.#regex, match);
    for (const name of ["ip4", "ip6", "dns", "cidr"] as const) if (this[name] === undefined) all.delete(name);
    this.#all = all;
    return all;
  }

  get size(): number {
    return this.#map().size;
  }
  get(name: string): string | undefined {
    return this.#map().get(name);
  }
  has(name: string): boolean {
    return this.#map().has(name);
  }
  forEach(call: (text: string, name: string, map: ReadonlyMap<string, string>) => void): void {
    this.#map().forEach(call);
  }
  entries(): MapIterator<[string, string]> {
    return this.#map().entries();
  }
  keys(): MapIterator<string> {
    return this.#map().keys();
  }
  values(): MapIterator<string> {
    return this.#map().values();
  }
  [Symbol.iterator](): MapIterator<[string, string]> {
    return this.#map().entries();
  }
}

function textOf(match: RegExpExecArray, number: number): string | undefined {
  return number < 0 ? undefined : match[number];
}

function ownGroups(regex: FilterRegex, match: RegExpExecArray): Map<string, string> {
  const own = new Map<string, string>();
  addGroups(own, regex, match);
  return own;
}
