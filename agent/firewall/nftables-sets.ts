import type { Rejected } from "./firewall.ts";
import { type BanSet, type PlacedElement, parseSetName, prefixLengthsMax, setName } from "./nftables-script.ts";

/** Our sets have no size. One that somebody gave one would refuse bans when it is full, and keep its size for ever. */
export function isBounded(table: string | undefined): boolean {
  return table !== undefined && /^\t\tsize \d/m.test(table);
}

export function presentSets(table: string | undefined): readonly BanSet[] {
  const names = [...(table ?? "").matchAll(/^\tset (\S+) \{/gm)].map(([, name = ""]) => parseSetName(name));
  return names.filter((set) => set !== undefined);
}

export function bySetName(sets: readonly BanSet[]): Map<string, BanSet> {
  return new Map(sets.map((set) => [setName(set), set]));
}

/** The sets that are there plus those the elements need, as far as the bound allows; elements of the others are refused. */
export function chooseSets(
  present: ReadonlyMap<string, BanSet>,
  elements: readonly PlacedElement[],
): { sets: ReadonlyMap<string, BanSet>; refused: readonly Rejected[] } {
  const sets = new Map(present);
  const refused: Rejected[] = [];
  for (const { set, net } of elements) {
    const name = setName(set);
    if (sets.has(name)) continue;
    const alike = [...sets.values()].filter((each) => each.family === set.family && each.ports === set.ports);
    if (alike.length < prefixLengthsMax) sets.set(name, set);
    else {
      const lengths = alike.map((each) => `/${each.prefix}`).join(" ");
      refused.push({ net, reason: `is of an ${prefixLengthsMax + 1}th prefix length; in use are ${lengths}` });
    }
  }
  return { sets, refused };
}
