import { type BlockedCounts, type FirewallList, firewallLists } from "../../shared/firewall-lists.ts";

/** What came on top since the last report, by list. */
export type BlockedGrowth = Readonly<{ list: FirewallList; packets: number; bytes: number }>;

/** A minute of the fastest network card there is; what an agent claims beyond that is not believed. */
const packetsMax = 10_000_000_000;
const bytesMax = packetsMax * 100;

/** The lists this side knows: an agent must not make up labels of metrics. */
export function knownLists(counts: BlockedCounts): BlockedCounts {
  return counts.filter(({ list }) => Object.hasOwn(firewallLists, list));
}

/**
 * Agents count from their own start; sums over the fleet need what each report adds. A host's first report here adds
 * nothing: when its agent started is not known. Counts that went down are those of an agent that started anew.
 */
export class BlockedGrowths {
  readonly #last = new Map<string, BlockedCounts>();

  /** @param counts  of known lists only */
  take(host: string, counts: BlockedCounts): readonly BlockedGrowth[] {
    const before = this.#last.get(host);
    this.#last.set(host, counts);
    if (before === undefined) return [];
    return counts.flatMap(({ list, packets, bytes }) => {
      const old = before.find((each) => each.list === list) ?? { packets: 0, bytes: 0 };
      const restarted = packets < old.packets;
      const grown = {
        list: list as FirewallList,
        packets: Math.min(packets - (restarted ? 0 : old.packets), packetsMax),
        bytes: Math.max(0, Math.min(bytes - (restarted ? 0 : old.bytes), bytesMax)),
      };
      return grown.packets > 0 ? [grown] : [];
    });
  }

  forget(host: string): void {
    this.#last.delete(host);
  }
}
