import { addressBits, formatShort, ipv4Value, parseAddress, parseNet, widen } from "../../shared/address.ts";
import type { UseDns } from "../settings/jail-settings.ts";

type AddressGroups = Readonly<Record<"fid" | "ip4" | "ip6" | "dns" | "cidr", string | undefined>>;

export type FailureId = Readonly<{ id: string; ip: string | null; name: string | null }>;

/**
 * From captured groups to what is counted. An address is `ip4`, else `ip6`, else `dns`; the id is `fid` if the filter
 * chose one, else the address.
 *
 * @returns undefined when the groups hold neither id nor address yet; null when they hold a name this jail may not use
 */
export function identify(groups: AddressGroups, useDns: UseDns): FailureId | null | undefined {
  const chosen = groups.fid;
  const address = groups.ip4 ?? groups.ip6;
  if (address !== undefined) {
    const ip = canonicalAddress(address, groups.cidr);
    if (chosen === undefined || chosen === address) return { id: ip ?? address, ip, name: null };
    return { id: canonicalId(chosen, useDns), ip, name: null };
  }
  const host = groups.dns;
  if (host === undefined) {
    if (chosen === undefined) return undefined;
    const id = canonicalId(chosen, useDns);
    return { id, ip: parseNet(id) === undefined ? null : id, name: null };
  }
  if (useDns === "raw") return { id: chosen ?? host, ip: null, name: null };
  const ip = canonicalAddress(host, undefined);
  if (ip !== null) return { id: ip, ip, name: null };
  // With names forbidden the line is hostile, but nobody can be blamed for it.
  return useDns === "no" ? null : { id: host, ip: null, name: host };
}

/** Canonical text, so that every spelling of one address counts together; null when it is not an address. */
function canonicalAddress(text: string, prefixText: string | undefined): string | null {
  // The strict spelling of IPv4 is the canonical one.
  if (prefixText === undefined && ipv4Value(text) >= 0) return text;
  const net = parseAddress(text);
  if (net === undefined) return null;
  const prefix = prefixText === undefined || prefixText === "" ? addressBits[net.family] : Number(prefixText);
  return formatShort(widen(net, prefix));
}

/** An id that is an address or network counts as one (`[2001:DB8::1]` too); any other text is taken as it stands. */
function canonicalId(text: string, useDns: UseDns): string {
  if (useDns === "raw") return text;
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const net = parseNet(bare);
  return net === undefined ? text : formatShort(net);
}
