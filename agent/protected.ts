import type { AgentConfig } from "./config.ts";
import type { NeverNet } from "./firewall/protect.ts";
import { readSelf, type SshSessions } from "./firewall/self-addresses.ts";
import { addressesOf } from "./watch/host-names.ts";

/** Everything this host must not cut itself off from, read anew every minute: addresses and sessions change. */
export async function protectedBy(
  config: AgentConfig,
  busUrls: readonly string[],
  sessions: SshSessions,
  nowMs: number,
): Promise<readonly NeverNet[]> {
  const [own, peers, bus, probes] = await Promise.all([
    readSelf(),
    sessions.read(nowMs),
    Promise.all(busUrls.map((url) => addressesOfPlace(hostOf(url), "coordinator"))),
    Promise.all(config.probes.map((probe) => addressesOfPlace(hostOf(`tcp://${probe}`), "probe"))),
  ]);
  const listed = config.never.map((net) => ({ net, why: "never list" }));
  return [...peers, ...own, ...bus.flat(), ...probes.flat(), ...listed];
}

async function addressesOfPlace(host: string | undefined, why: string): Promise<NeverNet[]> {
  const addresses = host === undefined ? [] : await addressesOf(host);
  return addresses.map((net) => ({ net, why }));
}

function hostOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const host = new URL(url.replace(/^\w+:/, "http:")).hostname.replace(/^\[|\]$/g, "");
  return host === "" ? undefined : host;
}
