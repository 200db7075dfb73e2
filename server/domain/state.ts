import { type Net, parseNet } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { Agents } from "./agents.ts";
import { type Ban, BanBook } from "./ban-book.ts";
import { Brake } from "./brake.ts";
import { Lists } from "./lists.ts";
import { Names } from "./names.ts";
import { Networks } from "./networks.ts";
import { partitionOf } from "./partition.ts";
import { horizonsOf, type JailPolicy, type Policy } from "./policy.ts";
import { Tenants } from "./tenants.ts";
import { Windows } from "./windows.ts";

/** Ten times the largest fleet planned for. Hosts are enrolled by an admin, so an attacker cannot invent them. */
const hostsMax = 1_000_000;
/** Jails are named by agents. No fleet has as many; those beyond share one window per subject. */
const jailsMax = 10_000;

/** Everything the judge knows. The modules beside this one change it; nothing else does. */
export type State = {
  readonly policy: Policy;
  readonly tenants: Tenants;
  readonly lists: Lists;
  readonly bans: BanBook;
  readonly networks: Networks;
  readonly brake: Brake;
  readonly agents: Agents;
  readonly windows: Windows;
  /** `tenant/host` */
  readonly hosts: Names;
  readonly jails: Names;
  readonly bansMs: number;
  /** Whose number was asked for last. */
  lastHost: Readonly<{ tenant: string; host: string; number: number }>;
  /** The partitions this judge decides about; null = all. Of the others it knows bans and lists, not failures. */
  share: ReadonlySet<number> | null;
  clockMs: number;
  lastBanId: number;
  /** Bans made in this turn: until it is written their numbers are not final. */
  made: Ban[];
};

export function newState(policy: Policy): State {
  const jails = new Names(jailsMax, "other");
  return {
    policy,
    tenants: new Tenants(),
    lists: new Lists(policy),
    bans: new BanBook(),
    networks: new Networks(policy.networks),
    brake: new Brake(policy.limits.fleetBansPerMinute),
    agents: new Agents(policy.limits.agent),
    windows: new Windows(policy, (jail) => jailPolicyOf(policy, jails.nameOf(jail))),
    hosts: new Names(hostsMax, "other/other"),
    jails,
    bansMs: horizonsOf(policy).bansMs,
    lastHost: { tenant: "", host: "", number: 0 },
    share: null,
    clockMs: Number.NEGATIVE_INFINITY,
    lastBanId: 0,
    made: [],
  };
}

/** Whether this judge decides about `net`. */
export function owns(state: State, net: Net): boolean {
  return state.share === null || state.share.has(partitionOf(net, state.policy));
}

export function jailPolicyOf(policy: Policy, jail: string): JailPolicy {
  return policy.jails.get(jail) ?? policy.defaultJail;
}

export function hostNumberOf(state: State, tenant: string, host: string): number {
  // A batch is one host's: its name is put together and looked up once.
  const { lastHost } = state;
  if (lastHost.tenant === tenant && lastHost.host === host) return lastHost.number;
  const number = state.hosts.numberOf(`${tenant}/${host}`);
  state.lastHost = { tenant, host, number };
  return number;
}

/** @throws Fleet2banError `invalid`; for words of an admin, which are checked before they get here */
export function readNet(text: string): Net {
  const net = parseNet(text);
  if (net !== undefined) return net;
  throw new Fleet2banError("invalid", `"${text}" is not an address or network; write 192.0.2.1 or 192.0.2.0/24`);
}
