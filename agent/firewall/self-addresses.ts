import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { formatAddress, type Net, parseAddress } from "../../shared/address.ts";
import type { NeverNet } from "./protect.ts";

/** Files of the kernel and resolver; another root in tests. */
export type SelfFiles = Readonly<Record<"route4" | "route6" | "resolver" | "chrony" | "timesyncd", string>>;

const systemFiles: SelfFiles = {
  route4: "/proc/net/route",
  route6: "/proc/net/ipv6_route",
  resolver: "/etc/resolv.conf",
  chrony: "/etc/chrony/chrony.conf",
  timesyncd: "/etc/systemd/timesyncd.conf",
};

/** A machine's own addresses; hosts with more are routers and name theirs in the configuration. */
const addressesMax = 1024;

/**
 * What this host must not cut itself off from: its own addresses, gateways, resolvers, time servers. Read anew every
 * few minutes by the caller, since addresses change.
 */
export async function readSelf(files: SelfFiles = systemFiles): Promise<readonly NeverNet[]> {
  const text = (file: string) => readText(file) ?? "";
  const [route4, route6, resolver, chrony, timesyncd] = [
    files.route4,
    files.route6,
    files.resolver,
    files.chrony,
    files.timesyncd,
  ].map(text);
  const found: readonly (readonly [string, readonly Net[]])[] = [
    ["own address", ownAddresses()],
    ["gateway", [...parseRoutes4(route4 ?? ""), ...parseRoutes6(route6 ?? "")]],
    ["resolver", parseServers(resolver ?? "", /^\s*nameserver\s+(\S+)/gm)],
    ["time server", parseServers(`${chrony}\n${timesyncd}`, /^\s*(?:server|pool|peer|NTP=|FallbackNTP=)\s*(.+)/gm)],
  ];
  return found.flatMap(([why, nets]) => nets.slice(0, addressesMax).map((net) => ({ net: formatAddress(net), why })));
}

function ownAddresses(): readonly Net[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ address }) => parseAddress(address.split("%")[0] ?? "") ?? []);
}

export function readText(file: string): string | undefined {
  try {
    // Not in the background: that costs 64 kB of garbage for each of the kernel's small files, every minute.
    return readFileSync(file, "utf8");
  } catch {
    // Without IPv6, without chrony: nothing to protect there.
    return undefined;
  }
}

/** `/proc/net/route`: hexadecimal in the machine's order; a gateway where the flag RTF_GATEWAY (2) is set. */
export function parseRoutes4(text: string): readonly Net[] {
  const gateways = rows(text).flatMap(([, , gateway = "", flags = "0"]) =>
    (Number.parseInt(flags, 16) & 2) === 0 ? [] : readKernelHex(gateway),
  );
  return unique(gateways);
}

/** `/proc/net/ipv6_route`: the next hop is the fifth field, the flags the ninth. */
export function parseRoutes6(text: string): readonly Net[] {
  const gateways = text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    return (Number.parseInt(fields[8] ?? "0", 16) & 2) === 0 ? [] : readPlainHex(fields[4] ?? "");
  });
  return unique(gateways);
}

function parseServers(text: string, pattern: RegExp): readonly Net[] {
  const words = [...text.matchAll(pattern)].flatMap(([, value = ""]) => value.split(/\s+/));
  return unique(words.flatMap((word) => parseAddress(word.split("%")[0] ?? "") ?? []));
}

/** A table of the kernel without its head. */
export function rows(text: string): readonly (readonly string[])[] {
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
}

/** Words of four bytes, each in little endian, as /proc writes addresses on x86 and ARM. */
export function readKernelHex(hex: string): readonly Net[] {
  return readPlainHex(hex.replace(/(..)(..)(..)(..)/g, "$4$3$2$1"));
}

function readPlainHex(hex: string): readonly Net[] {
  if (/^[0-9a-fA-F]{8}$/.test(hex)) return nonZero({ family: 4, value: Number.parseInt(hex, 16), prefix: 32 });
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) return [];
  const mapped = hex.slice(0, 24).toLowerCase() === "00000000000000000000ffff";
  if (mapped) return readPlainHex(hex.slice(24));
  return nonZero({ family: 6, value: BigInt(`0x${hex}`), prefix: 128 });
}

function nonZero(net: Net): readonly Net[] {
  return BigInt(net.value) === 0n ? [] : [net];
}

function unique(nets: readonly Net[]): readonly Net[] {
  return [...new Map(nets.map((net) => [formatAddress(net), net])).values()];
}
