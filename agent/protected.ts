import { parseAddress } from "../shared/address.ts";
import type { AgentConfig } from "./config.ts";
import type { NeverNet } from "./firewall/protect.ts";
import { readSelf } from "./firewall/self-addresses.ts";
import type { SshSessions } from "./firewall/ssh-sessions.ts";
import { monotonicMs } from "./monotonic.ts";
import { addressesOf } from "./watch/host-names.ts";

/** Everything this host must not cut itself off from, to be read anew every minute: addresses and sessions change. */
export class HostProtection {
  readonly #config: AgentConfig;
  readonly #busUrls: readonly string[];
  readonly #sessions: SshSessions;
  /** The last answer for each name: a resolver that is away must not make the coordinator fair game. */
  readonly #addresses = new Map<string, readonly string[]>();

  constructor(config: AgentConfig, busUrls: readonly string[], sessions: SshSessions) {
    this.#config = config;
    this.#busUrls = busUrls;
    this.#sessions = sessions;
  }

  /** @param mayAsk  false: names are not looked up, because bans must not wait for a network that is not there yet */
  async read(mayAsk: boolean): Promise<readonly NeverNet[]> {
    const places = [
      ...this.#busUrls.map((url) => ({ host: hostOf(url), why: "coordinator" })),
      ...this.#config.probes.map((probe) => ({ host: hostOf(`tcp://${probe}`), why: "probe" })),
    ];
    const [own, peers, found] = await Promise.all([
      readSelf(),
      this.#sessions.read(monotonicMs()),
      Promise.all(places.map(({ host, why }) => this.#find(host, why, mayAsk))),
    ]);
    const listed = this.#config.never.map((net) => ({ net, why: "never list" }));
    return [...peers, ...own, ...found.flat(), ...listed];
  }

  async #find(host: string | undefined, why: string, mayAsk: boolean): Promise<NeverNet[]> {
    if (host === undefined) return [];
    if (parseAddress(host) !== undefined) return [{ net: host, why }];
    const answer = mayAsk ? await addressesOf(host) : [];
    if (answer.length > 0) this.#addresses.set(host, answer);
    return (this.#addresses.get(host) ?? []).map((net) => ({ net, why }));
  }
}

function hostOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const host = new URL(url.replace(/^\w+:/, "http:")).hostname.replace(/^\[|\]$/g, "");
  return host === "" ? undefined : host;
}
