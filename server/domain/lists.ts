import { addressBits, formatNet, type Net, widen } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";
import type { Policy } from "./policy.ts";

/** Who may never be banned, and whom the whole fleet allows. A tenant's own allows are the tenant's. */
export class Lists {
  readonly fleetAllows = new CidrTable<true>();
  readonly nevers = new CidrTable<true>();
  readonly #reserved = new CidrTable<true>();
  /**
   * How many never-listed nets lie inside each subject and network: a ban asks for every subject of an attack, and
   * looking through thousands of the fleet's own addresses each time took a millisecond.
   */
  readonly #inside = new CidrTable<number>();
  readonly #policy: Policy;

  constructor(policy: Policy) {
    this.#policy = policy;
    for (const net of policy.reserved) this.#reserved.set(net, true);
  }

  isReserved(address: Net): boolean {
    return this.#reserved.covers(address);
  }

  addNever(net: Net): void {
    if (this.nevers.get(net) !== undefined) return;
    this.nevers.set(net, true);
    this.#countInside(net, 1);
  }

  removeNever(net: Net): void {
    if (this.nevers.delete(net)) this.#countInside(net, -1);
  }

  /** Reserved and never-listed entries that cover the whole of `net`. */
  coveringNever(net: Net): readonly Readonly<{ list: "reserved" | "never"; net: Net }>[] {
    return [
      ...this.nevers.covering(net).map((entry) => ({ list: "never" as const, net: entry.net })),
      ...this.#reserved.covering(net).map((entry) => ({ list: "reserved" as const, net: entry.net })),
    ];
  }

  /** Why `net` may not be banned by anyone; undefined when it may. */
  whyNever(net: Net): string | undefined {
    if (this.#reserved.overlaps(net)) {
      return `${formatNet(net)} holds reserved addresses; the policy's "reserved" list names them`;
    }
    if (!this.#holdsNever(net)) return undefined;
    const [listed] = [...this.nevers.covering(net), ...this.nevers.within(net)];
    const entry = listed === undefined ? "" : ` (${formatNet(listed.net)})`;
    return `${formatNet(net)} holds never-listed addresses${entry}; take them off the never list first`;
  }

  #holdsNever(net: Net): boolean {
    if (this.nevers.covers(net)) return true;
    if (net.prefix === addressBits[net.family]) return false;
    if (this.#prefixes(net.family).includes(net.prefix)) return this.#inside.get(net) !== undefined;
    return this.nevers.overlaps(net);
  }

  #prefixes(family: 4 | 6): readonly number[] {
    const network = this.#policy.networks[family]?.prefix;
    return [...(family === 6 ? [this.#policy.ipv6Prefix] : []), ...(network === undefined ? [] : [network])];
  }

  #countInside(net: Net, change: 1 | -1): void {
    for (const prefix of this.#prefixes(net.family)) {
      if (prefix >= net.prefix) continue;
      const outer = widen(net, prefix);
      const count = (this.#inside.get(outer) ?? 0) + change;
      if (count === 0) this.#inside.delete(outer);
      else this.#inside.set(outer, count);
    }
  }
}
