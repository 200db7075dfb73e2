import { addressBits, type Net } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";
import { Expiries } from "./expiries.ts";
import { feedOf } from "./feed-ban.ts";
import type { RememberedBan } from "./judge.ts";

/** A ban as the judge keeps it: its net read, its end written once. */
export type Ban = Omit<RememberedBan, "id" | "net" | "endMs" | "endReason"> & {
  /** Not final before it is written: see `State.made`. */
  id: number;
  readonly net: Net;
  endMs: number | null;
  endReason: UnbanReason | null;
};

/**
 * Every ban that stands or still matters to the ladder, the networks, the votes and late failures. What a feed banned
 * matters to none of these: it is kept apart, and forgotten when it ends.
 */
export class BanBook {
  readonly #bans = new CidrTable<Ban[]>();
  readonly #listed = new CidrTable<Ban[]>();
  readonly #expiries = new Expiries();
  #standing = 0;
  #count = 0;
  #sweep = this.#bans.entries();

  get standing(): number {
    return this.#standing;
  }

  get count(): number {
    return this.#count;
  }

  add(ban: Ban): void {
    const isListed = feedOf(ban.reason) !== undefined;
    if (isListed && ban.endMs !== null) return;
    const table = isListed ? this.#listed : this.#bans;
    const known = table.get(ban.net);
    if (known === undefined) table.set(ban.net, [ban]);
    else known.push(ban);
    this.#count += 1;
    if (ban.endMs !== null) return;
    this.#standing += 1;
    this.#expiries.add(ban);
  }

  end(ban: Ban, endMs: number, reason: UnbanReason): void {
    ban.endMs = endMs;
    ban.endReason = reason;
    this.#standing -= 1;
    if (feedOf(ban.reason) !== undefined) this.#forgetListed(ban);
  }

  #forgetListed(ban: Ban): void {
    const left = this.#listed.get(ban.net)?.filter((each) => each !== ban) ?? [];
    if (left.length === 0) this.#listed.delete(ban.net);
    else this.#listed.set(ban.net, left);
    this.#count -= 1;
  }

  /** The next standing ban that is over by `nowMs`, in the order they end. The caller ends it. */
  takeDue(nowMs: number): Ban | undefined {
    for (;;) {
      const ban = this.#expiries.takeDue(nowMs);
      if (ban === undefined || ban.endMs === null) return ban;
    }
  }

  /** Every ban of exactly this net, oldest first, ended ones included, but for what feeds banned. */
  of(net: Net): readonly Ban[] {
    return this.#bans.get(net) ?? [];
  }

  /** The same with what feeds banned. */
  allOf(net: Net): readonly Ban[] {
    return [...this.of(net), ...(this.#listed.get(net) ?? [])];
  }

  covering(net: Net): readonly Ban[] {
    return [this.#bans, this.#listed].flatMap((table) => table.covering(net).flatMap((entry) => entry.value));
  }

  /**
   * The end of the latest ban that covers `subject` on the tenant's hosts: in the future while it stands, `endMs` once
   * it is over. Failures dated up to then have had their answer. -Infinity when there was none.
   */
  coveredUntilMs(subject: Net, tenantScope: Scope): number {
    let latestMs = Number.NEGATIVE_INFINITY;
    for (const { value: bans } of this.#bans.covering(subject)) {
      for (const ban of bans) {
        if (ban.scope !== "fleet" && ban.scope !== tenantScope) continue;
        latestMs = Math.max(latestMs, ban.endMs ?? ban.untilMs ?? Number.POSITIVE_INFINITY);
      }
    }
    return latestMs;
  }

  /** Whether a ban of this scope stands that covers the whole of `net`. */
  stands(net: Net, scope: Scope): boolean {
    for (const { value: bans } of this.#bans.covering(net)) {
      if (bans.some((ban) => ban.endMs === null && ban.scope === scope)) return true;
    }
    return false;
  }

  /** Standing bans of nets inside `net` (and, if asked, around it), oldest first. */
  standingIn(net: Net, around: boolean): readonly Ban[] {
    // A whole address has nothing but itself inside: no scan of every banned address for each host that enrols.
    const inside = net.prefix === addressBits[net.family] ? this.allOf(net) : this.#inside(net);
    const found = new Set([...inside, ...(around ? this.covering(net) : [])]);
    return [...found].filter((ban) => ban.endMs === null).toSorted((one, other) => one.id - other.id);
  }

  #inside(net: Net): Ban[] {
    return [this.#bans, this.#listed].flatMap((table) => [...table.within(net)].flatMap((entry) => entry.value));
  }

  /** Forgets some of the bans that ended and started before `horizonMs`; returns them. Each call goes on where the last stopped. */
  sweep(horizonMs: number, netsMax: number): readonly Ban[] {
    const forgotten: Ban[] = [];
    for (let count = 0; count < netsMax; count += 1) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#bans.entries();
        break;
      }
      const { net, value: bans } = next.value;
      const kept = bans.filter((ban) => ban.endMs === null || Math.max(ban.startMs, ban.endMs) >= horizonMs);
      if (kept.length === bans.length) continue;
      forgotten.push(...bans.filter((ban) => !kept.includes(ban)));
      if (kept.length === 0) this.#bans.delete(net);
      else this.#bans.set(net, kept);
    }
    this.#count -= forgotten.length;
    return forgotten;
  }
}
