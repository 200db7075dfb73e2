import { contains, formatNet, formatShort, type Net, overlaps, parseNet } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";
import { type Element, elementKey, type FirewallChange, noChange } from "./firewall.ts";
import { subtractNets } from "./subtract-nets.ts";

/**
 * Who speaks. The host (its own jails and orders for it alone) and its tenant rank above the fleet:
 * never > tenant allow > tenant and host ban > fleet allow > fleet ban.
 */
export type BanTier = "host" | "tenant" | "fleet";
export type AllowTier = "never" | "tenant" | "fleet";

/** One owner's ban. `id` is unique among all owners (`fleet:17`, `jail:sshd:192.0.2.1`) and names it until it is lifted. */
/** `byHand`: people of the coordinator ordered it. */
export type OwnedBan = Readonly<{ id: string; tier: BanTier; byHand?: true }> & Element;
export type OwnedAllow = Readonly<{ id: string; tier: AllowTier; net: string; untilMs: number | null }>;

/** What the firewall must be told. `allow` is the new content of the allow sets, null when it did not change. */
export type WantedChange = Readonly<{ change: FirewallChange; allow: readonly string[] | null }>;
const unchanged: WantedChange = { change: noChange, allow: null };

/**
 * An ended ban is forgotten this much later, because the kernel holds it a little longer and must not be told of a new
 * element while it still holds the old one. Source: `timeoutSlackSeconds`.
 */
const forgetAfterMs = 10_000;

/** The allow sets hold few networks; when splitting a fleet's allow around local bans needs more, it stays whole. */
const splitPiecesMax = 2048;

/** The bans of one net and port: nearly always one. */
type Entry = OwnedBan | readonly OwnedBan[];

/**
 * All owners' bans and allows, merged into what the firewall shall hold: per net and port the latest end of the bans
 * that no allow overrides. A never overrides whatever shares an address with it, the other allows what is inside them. No clock but the one `expire` is given. Bans with canonical nets are kept by reference, so
 * the caller's store shares their memory.
 */
export class WantedSet {
  readonly #bans = new Map<string, OwnedBan>();
  /** By `partsOf`: a ban of several ports is several parts, since another ban may name one of them. */
  readonly #entries = new Map<string, Entry>();
  readonly #allows = new Map<string, OwnedAllow>();
  /** Held back by the dead man's switch. */
  readonly #held = new Set<string>();
  /** What no ban may touch, however wide. */
  #never = new CidrTable<true>();
  /** What overrides the bans inside it. */
  #tenantAllowed = new CidrTable<true>();
  #fleetAllowed = new CidrTable<true>();
  /** Nets, by id, of host and tenant bans that overlap a fleet allow, which therefore may not shield them in the kernel. */
  #contested = new Map<string, string>();
  #allowNets: readonly string[] = [];

  /** Elements, those that are overridden included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Whether somebody wants this element, by its key. */
  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Keys of the elements that are held back. */
  get held(): readonly string[] {
    return [...this.#held];
  }

  /** Ids of the bans of this net and of all inside it; null = of all. Scans every ban: for the pace of people. */
  idsWithin(outer: Net | null): readonly string[] {
    const inside = (text: string): boolean => {
      const net = parseNet(text);
      return net !== undefined && (outer === null || contains(outer, net));
    };
    return [...this.#bans.values()].filter((ban) => inside(ban.net)).map(({ id }) => id);
  }

  /** Adds bans or changes those of the same id; one change for all of them. */
  ban(bans: readonly OwnedBan[]): WantedChange {
    const canonical = bans.map(canonicalBan);
    return this.#edit(
      canonical.flatMap((ban) => [...partsOf(ban), ...this.#partsOfId(ban.id)]),
      () => {
        for (const ban of canonical) {
          this.#drop(ban.id);
          this.#bans.set(ban.id, ban);
          for (const key of partsOf(ban)) {
            const entry = this.#entries.get(key);
            this.#entries.set(key, entry === undefined ? ban : [...bansOf(entry), ban]);
          }
          if (this.#fleetAllowed.size > 0) this.#contest(ban);
        }
      },
    );
  }

  /** Lifts bans by id; unknown ones are no mistake. */
  unban(ids: readonly string[]): WantedChange {
    return this.#edit(
      ids.flatMap((id) => this.#partsOfId(id)),
      () => {
        for (const id of ids) this.#drop(id);
      },
    );
  }

  /** Adds allows and nevers. Scans every ban: for the pace of people. When loading, allows come before bans. */
  allow(allows: readonly OwnedAllow[]): WantedChange {
    if (allows.length === 0) return unchanged;
    // An allow of the same id may have covered another net until now.
    const replaced = allows.flatMap(({ id }) => this.#allows.get(id) ?? []);
    return this.#editAllows([...allows, ...replaced], () => {
      for (const allow of allows) this.#allows.set(allow.id, allow);
    });
  }

  disallow(ids: readonly string[]): WantedChange {
    const gone = ids.map((id) => this.#allows.get(id)).filter((allow) => allow !== undefined);
    if (gone.length === 0) return unchanged;
    return this.#editAllows(gone, () => {
      for (const { id } of gone) this.#allows.delete(id);
    });
  }

  /** Forgets what has ended. Backends that end bans themselves need no word of the removals; the others do. */
  expire(nowMs: number): readonly WantedChange[] {
    const bans: string[] = [];
    const allows: string[] = [];
    for (const { id, untilMs } of this.#bans.values()) {
      if (untilMs !== null && untilMs + forgetAfterMs <= nowMs) bans.push(id);
    }
    for (const { id, untilMs } of this.#allows.values()) if (untilMs !== null && untilMs <= nowMs) allows.push(id);
    return [...(bans.length > 0 ? [this.unban(bans)] : []), ...(allows.length > 0 ? [this.disallow(allows)] : [])];
  }

  /** Takes elements out of the firewall without forgetting them, whoever wants them: the dead man's switch. */
  hold(keys: readonly string[]): WantedChange {
    return this.#edit(keys, () => {
      for (const key of keys) if (this.#entries.has(key)) this.#held.add(key);
    });
  }

  release(keys: readonly string[]): WantedChange {
    return this.#edit(keys, () => {
      for (const key of keys) this.#held.delete(key);
    });
  }

  /** The whole wanted set, for `replaceAll`. */
  *elements(): Generator<Element> {
    for (const key of this.#entries.keys()) {
      const element = this.#elementOf(key);
      if (element !== undefined) yield element;
    }
  }

  /** The content of the kernel's allow sets. */
  get allowNets(): readonly string[] {
    return this.#allowNets;
  }

  #partsOfId(id: string): readonly string[] {
    const ban = this.#bans.get(id);
    return ban === undefined ? [] : partsOf(ban);
  }

  #drop(id: string): void {
    const ban = this.#bans.get(id);
    if (ban === undefined) return;
    this.#bans.delete(id);
    this.#contested.delete(id);
    for (const key of partsOf(ban)) {
      const rest = bansOf(this.#entries.get(key)).filter((each) => each.id !== id);
      const [only] = rest;
      if (only === undefined) {
        this.#entries.delete(key);
        this.#held.delete(key);
      } else this.#entries.set(key, rest.length === 1 ? only : rest);
    }
  }

  /** Compares these elements before and after a mutation. */
  #edit(keys: readonly string[], mutate: () => void): WantedChange {
    const before = new Map<string, Element | undefined>();
    for (const key of keys) before.set(key, this.#elementOf(key));
    const contested = new Map(this.#contested);
    mutate();
    const add: Element[] = [];
    const renew: Element[] = [];
    const remove: Element[] = [];
    for (const [key, old] of before) {
      const element = this.#elementOf(key);
      if (element === undefined) {
        if (old !== undefined) remove.push(old);
      } else if (old === undefined) add.push(element);
      else if (old.untilMs !== element.untilMs) renew.push(element);
    }
    // A ban of the same id may be of another net now.
    const same =
      contested.size === this.#contested.size && [...contested].every(([id, net]) => this.#contested.get(id) === net);
    return { change: { add, renew, remove }, allow: same ? null : this.#refreshAllowNets() };
  }

  #editAllows(changed: readonly OwnedAllow[], mutate: () => void): WantedChange {
    const nets = changed.map(({ net }) => parseNet(net)).filter((net) => net !== undefined);
    const { change } = this.#edit(this.#keysTouching(nets), () => {
      mutate();
      const tables = { never: new CidrTable<true>(), tenant: new CidrTable<true>(), fleet: new CidrTable<true>() };
      for (const allow of this.#allows.values()) {
        const net = parseNet(allow.net);
        if (net !== undefined) tables[allow.tier].set(net, true);
      }
      this.#never = tables.never;
      this.#tenantAllowed = tables.tenant;
      this.#fleetAllowed = tables.fleet;
      this.#contested = new Map();
      if (this.#fleetAllowed.size > 0) for (const ban of this.#bans.values()) this.#contest(ban);
    });
    return { change, allow: this.#refreshAllowNets() };
  }

  #keysTouching(nets: readonly Net[]): readonly string[] {
    const keys: string[] = [];
    for (const [key, entry] of this.#entries) {
      const net = parseNet(bansOf(entry)[0]?.net ?? "");
      if (net !== undefined && nets.some((each) => overlaps(each, net))) keys.push(key);
    }
    return keys;
  }

  #contest(ban: OwnedBan): void {
    if (ban.tier === "fleet") return;
    const net = parseNet(ban.net);
    if (net !== undefined && this.#fleetAllowed.overlaps(net)) this.#contested.set(ban.id, ban.net);
  }

  #elementOf(key: string): Element | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#held.has(key)) return undefined;
    let latest: OwnedBan | undefined;
    for (const ban of bansOf(entry)) {
      if (!this.#overridden(ban) && (latest === undefined || endsLater(ban, latest))) latest = ban;
    }
    if (latest === undefined) return undefined;
    const { net, untilMs } = latest;
    return { net, ports: latest.ports === null ? null : [portOf(key)], untilMs };
  }

  #overridden(ban: OwnedBan): boolean {
    if (this.#allows.size === 0) return false;
    const net = parseNet(ban.net);
    if (net === undefined) return false;
    if (this.#never.overlaps(net) || this.#tenantAllowed.covers(net)) return true;
    return ban.tier === "fleet" && this.#fleetAllowed.covers(net);
  }

  #refreshAllowNets(): readonly string[] {
    const holes = [...this.#contested.values()].flatMap((net) => parseNet(net) ?? []);
    const nets = [...this.#never.entries(), ...this.#tenantAllowed.entries()].map(({ net }) => net);
    let pieces = 0;
    for (const { net } of this.#fleetAllowed.entries()) {
      const near = holes.filter((hole) => overlaps(hole, net));
      const split = subtractNets(net, near, splitPiecesMax - pieces);
      pieces += near.length === 0 ? 0 : split.length;
      nets.push(...split);
    }
    this.#allowNets = nets.map(formatShort);
    return this.#allowNets;
  }
}

/** The keys of what a ban is made of: itself, or one part per port. A ban of all ports shares its net's memory. */
export function partsOf(ban: Pick<Element, "net" | "ports">): readonly string[] {
  if (ban.ports === null) return [ban.net];
  // Nearly always one.
  if (ban.ports.length === 1) return [elementKey(ban)];
  return [...new Set(ban.ports)].map((port) => elementKey({ net: ban.net, ports: [port] }));
}

function portOf(key: string): number {
  return Number(key.slice(key.lastIndexOf(" ") + 1));
}

/** One spelling per net, or `192.0.2.1` and `192.0.2.1/32` would lift each other. What is no net is left to the firewall to refuse. */
function canonicalBan(ban: OwnedBan): OwnedBan {
  const net = parseNet(ban.net);
  const text = net === undefined ? ban.net : formatNet(net);
  return text === ban.net ? ban : { ...ban, net: text };
}

function bansOf(entry: Entry | undefined): readonly OwnedBan[] {
  if (entry === undefined) return [];
  return "id" in entry ? [entry] : entry;
}

function endsLater(one: Element, other: Element): boolean {
  return other.untilMs !== null && (one.untilMs === null || one.untilMs > other.untilMs);
}
