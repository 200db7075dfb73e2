import { formatNet, parseNet, widen } from "../../shared/address.ts";

/**
 * Every network that covers `net`, itself included: 33 or 129 exact index probes, where "which stored network covers
 * this one" would be a scan. Empty when the text is not a net.
 */
export function coveringNets(net: string): string[] {
  const parsed = parseNet(net);
  if (parsed === undefined) return [];
  return Array.from({ length: parsed.prefix + 1 }, (_, prefix) => formatNet(widen(parsed, prefix)));
}
