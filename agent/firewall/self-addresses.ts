import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { formatAddress, type Net, parseAddress } from "../../shared/address.ts";
import type { NeverNet } from "./protect.ts";

/** Files of the kernel and resolver; another root in tests. */
export type SelfFiles = Readonly<
  Record<"route4" | "route6" | "tcp4" | "tcp6" | "resolver" | "chrony" | "timesyncd", string>
>;

const systemFiles: SelfFiles = {
  route4: "/proc/net/route",
  route6: "/proc/net/ipv6_route",
  tcp4: "/proc/net/tcp",
  tcp6: "/proc/net/tcp6",
  resolver: "/etc/resolv.conf",
  chrony: "/etc/chrony/chrony.conf",
  timesyncd: "/etc/systemd/timesyncd.conf",
};

/** Peers shown to the never list: an attacker who holds thousands of sessions is not an admin. */
const sshPeersMax = 64;
/** Connections remembered; an attacker may hold as many as sshd lets him. */
const connectionsMax = 4096;
/** sshd cuts who has not logged in by then (LoginGraceTime, 120 s, and some air). */
const graceMs = 150_000;
/** A machine's own addresses; hosts with more are routers and name theirs in the configuration. */
const addressesMax = 1024;

/**
 * What this host must not cut itself off from: its own addresses, gateways, resolvers, time servers. Read anew every
 * few minutes by the caller, since addresses change.
 */
export async function readSelf(files: SelfFiles = systemFiles): Promise<readonly NeverNet[]> {
  const text = async (file: string) => (await readText(file)) ?? "";
  const [route4, route6, resolver, chrony, timesyncd] = await Promise.all(
    [files.route4, files.route6, files.resolver, files.chrony, files.timesyncd].map(text),
  );
  const found: readonly (readonly [string, readonly Net[]])[] = [
    ["own address", ownAddresses()],
    ["gateway", [...parseRoutes4(route4 ?? ""), ...parseRoutes6(route6 ?? "")]],
    ["resolver", parseServers(resolver ?? "", /^\s*nameserver\s+(\S+)/gm)],
    ["time server", parseServers(`${chrony}\n${timesyncd}`, /^\s*(?:server|pool|peer|NTP=|FallbackNTP=)\s*(.+)/gm)],
  ];
  return found.flatMap(([why, nets]) => nets.slice(0, addressesMax).map((net) => ({ net: formatAddress(net), why })));
}

/**
 * Whoever holds an SSH session to this host: an admin at work. A connection younger than sshd's grace time proves
 * nothing, since every attacker has one, so only those seen for longer count.
 */
export class SshSessions {
  readonly #port: number;
  readonly #files: SelfFiles;
  #firstSeenMs = new Map<string, number>();

  constructor(port = 22, files: SelfFiles = systemFiles) {
    this.#port = port;
    this.#files = files;
  }

  /** To be asked every minute or so. */
  async read(nowMs: number): Promise<readonly NeverNet[]> {
    const tables = await Promise.all([readText(this.#files.tcp4), readText(this.#files.tcp6)]);
    const peers = tables.flatMap((table) => parsePeers(table ?? "", this.#port)).slice(0, connectionsMax);
    const before = this.#firstSeenMs;
    this.#firstSeenMs = new Map(peers.map(({ connection }) => [connection, before.get(connection) ?? nowMs]));
    const old = peers.filter(({ connection }) => nowMs - (this.#firstSeenMs.get(connection) ?? nowMs) > graceMs);
    const addresses = new Set(old.map(({ address }) => formatAddress(address)));
    return [...addresses].slice(0, sshPeersMax).map((net) => ({ net, why: "holds an SSH session" }));
  }
}

function ownAddresses(): readonly Net[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ address }) => parseAddress(address.split("%")[0] ?? "") ?? []);
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
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

/** `/proc/net/tcp` and `tcp6`: peers of established connections (state 01) to one local port. */
export function parsePeers(text: string, port: number): readonly Readonly<{ address: Net; connection: string }>[] {
  return rows(text).flatMap(([, local = "", remote = "", state]) => {
    const [, localPort = ""] = local.split(":");
    const [hex = ""] = remote.split(":");
    if (state !== "01" || Number.parseInt(localPort, 16) !== port) return [];
    return readKernelHex(hex).map((address) => ({ address, connection: `${local} ${remote}` }));
  });
}

function parseServers(text: string, pattern: RegExp): readonly Net[] {
  const words = [...text.matchAll(pattern)].flatMap(([, value = ""]) => value.split(/\s+/));
  return unique(words.flatMap((word) => parseAddress(word.split("%")[0] ?? "") ?? []));
}

function rows(text: string): readonly (readonly string[])[] {
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
}

/** Words of four bytes, each in little endian, as /proc writes addresses on x86 and ARM. */
function readKernelHex(hex: string): readonly Net[] {
  return readPlainHex(hex.replace(/(..)(..)(..)(..)/g, "$4$3$2$1"));
}

function readPlainHex(hex: string): readonly Net[] {
  if (/^[0-9a-f]{8}$/i.test(hex)) return nonZero({ family: 4, value: Number.parseInt(hex, 16), prefix: 32 });
  if (!/^[0-9a-f]{32}$/i.test(hex)) return [];
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
