import { formatAddress, type Net } from "../../shared/address.ts";
import { minuteMs, secondMs } from "../../shared/durations.ts";
import type { NeverNet } from "./protect.ts";
import { readKernelHex, readText } from "./self-addresses.ts";
import { readSshdSettings, type SshdSettings } from "./sshd-settings.ts";

/** Files of the kernel; others in tests. */
export type TcpFiles = Readonly<Record<"tcp4" | "tcp6", string>>;
const kernelFiles: TcpFiles = { tcp4: "/proc/net/tcp", tcp6: "/proc/net/tcp6" };

/** Peers shown to the never list: an attacker who holds thousands of sessions is not an admin. */
const peersMax = 64;
/** Connections remembered; an attacker may hold as many as sshd lets him. */
const connectionsMax = 4096;
/** What sshd may need beyond its grace time to cut off who has not logged in. */
const graceAirMs = 30 * secondMs;
/** Whoever worked here a moment ago comes back, and mistypes. */
const afterwardsMs = 10 * minuteMs;

/**
 * Whoever holds an SSH session to this host, or held one a moment ago: an admin at work. A connection younger than
 * sshd's grace time proves nothing, since every attacker has one, so only those seen for longer count.
 */
export class SshSessions {
  readonly #settings: () => Promise<SshdSettings>;
  readonly #files: TcpFiles;
  #firstSeenMs = new Map<string, number>();
  #provenMs = new Map<string, number>();
  #problem: string | undefined;

  constructor(settings: () => Promise<SshdSettings> = readSshdSettings, files: TcpFiles = kernelFiles) {
    this.#settings = settings;
    this.#files = files;
  }

  /** Why sessions are not protected; undefined = they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** To be asked every minute or so. @param upMs  of a clock that nobody can set */
  async read(upMs: number): Promise<readonly NeverNet[]> {
    const { ports, graceMs } = await this.#settings();
    const tables = [readText(this.#files.tcp4), readText(this.#files.tcp6)];
    this.#problem =
      graceMs === null
        ? "sshd: LoginGraceTime 0 lets attackers hold connections for ever, so no session is protected from a ban"
        : undefined;
    const peers = tables.flatMap((table) => parsePeers(table ?? "", ports)).slice(0, connectionsMax);
    const before = this.#firstSeenMs;
    this.#firstSeenMs = new Map(peers.map(({ connection }) => [connection, before.get(connection) ?? upMs]));
    for (const [net, provenMs] of this.#provenMs) if (upMs - provenMs > afterwardsMs) this.#provenMs.delete(net);
    if (graceMs === null) return [];
    for (const { address, connection } of peers) {
      const forMs = upMs - (this.#firstSeenMs.get(connection) ?? upMs);
      const net = formatAddress(address);
      const isRoom = this.#provenMs.has(net) || this.#provenMs.size < peersMax;
      if (forMs > graceMs + graceAirMs && isRoom) this.#provenMs.set(net, upMs);
    }
    return [...this.#provenMs.keys()].map((net) => ({ net, why: "holds an SSH session" }));
  }
}

/** `/proc/net/tcp` and `tcp6`: peers of established connections (state 01) to some local ports. */
export function parsePeers(
  text: string,
  ports: readonly number[],
): readonly Readonly<{ address: Net; connection: string }>[] {
  // One search for the few lines that are asked for: a busy server has ten thousand connections, read every minute.
  const hexPorts = ports.map((port) => port.toString(16).toUpperCase().padStart(4, "0"));
  const line = new RegExp(`^ *\\d+: ([0-9A-F]+:(?:${hexPorts.join("|")})) (([0-9A-F]+):[0-9A-F]{4}) 01 `, "gm");
  return [...text.matchAll(line)].flatMap(([, local = "", remote = "", hex = ""]) =>
    readKernelHex(hex).map((address) => ({ address, connection: `${local} ${remote}` })),
  );
}
