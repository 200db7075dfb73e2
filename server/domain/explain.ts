import { formatNet, type Net, parseAddress, subjectOf } from "../../shared/address.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Scope } from "../../shared/order.ts";
import type { Explanation, RememberedBan, WindowExplanation } from "./judge.ts";
import { levelOf } from "./ladder.ts";
import { jailPolicyOf, type State } from "./state.ts";
import type { Tenant } from "./tenants.ts";
import { tallyVotes } from "./votes.ts";

/**
 * Everything the judge knows of one address.
 *
 * @throws Fleet2banError `invalid` when it is not an address
 */
export function explain(state: State, text: string, nowMs: number): Explanation {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new Fleet2banError("invalid", `"${text}" is not an address; write 192.0.2.1 or 2001:db8::1`);
  }
  const net = subjectOf(address, state.policy.ipv6Prefix);
  const tenants = [...state.tenants.all()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const windows = tenants.flatMap((tenant) => windowsOf(state, tenant, net, nowMs));
  const involved = new Set<Scope>(["fleet", ...windows.map((window): Scope => `tenant:${window.tenant}`)]);
  for (const ban of state.bans.of(net)) if (!ban.scope.startsWith("host:")) involved.add(ban.scope);
  const votes = tallyVotes(state.bans.of(net), (name) => state.tenants.get(name), state.policy.fleet, nowMs);
  return {
    net: formatNet(net),
    protectedBy: protectionsOf(state, address, tenants),
    bans: bansOf(state, address),
    windows,
    next: [...involved].map((scope) => nextOf(state, net, scope, nowMs)),
    votes: { tenants: votes.tenants, needed: state.policy.fleet.tenants },
  };
}

function protectionsOf(state: State, address: Net, tenants: readonly Tenant[]): Explanation["protectedBy"] {
  const never = state.lists
    .coveringNever(address)
    .map(({ list, net }) => ({ list, net: formatNet(net), tenant: null as string | null }));
  const allow = (tenant: string | null) => (entry: Readonly<{ net: Net }>) =>
    ({ list: "allow", net: formatNet(entry.net), tenant }) as const;
  return [
    ...never,
    ...tenants.flatMap((tenant) => tenant.allows.covering(address).map(allow(tenant.name))),
    ...state.lists.fleetAllows.covering(address).map(allow(null)),
  ];
}

function bansOf(state: State, address: Net): readonly RememberedBan[] {
  return state.bans
    .covering(address)
    .map((ban): RememberedBan => ({ ...ban, net: formatNet(ban.net) }))
    .toSorted((one, other) => Number(one.endMs !== null) - Number(other.endMs !== null) || other.id - one.id);
}

function windowsOf(state: State, tenant: Tenant, net: Net, nowMs: number): readonly WindowExplanation[] {
  const coveredUntilMs = state.bans.coveredUntilMs(net, tenant.scope);
  const windows = state.windows.open(tenant.number, net, coveredUntilMs, nowMs).map((window): WindowExplanation => {
    const jail = window.jail === null ? null : state.jails.nameOf(window.jail);
    const spreadHosts = state.policy.spread?.hosts ?? 0;
    return {
      tenant: tenant.name,
      jail,
      reached: jail === null ? window.hosts.length : window.failures,
      needed: jail === null ? spreadHosts : jailPolicyOf(state.policy, jail).maxretry,
      hosts: window.hosts.map((host) => state.hosts.nameOf(host)).toSorted(),
      oldestMs: window.oldestMs,
      newestMs: window.newestMs,
    };
  });
  // By jail, the spread last.
  return windows.toSorted((one, other) => ((one.jail ?? "~") < (other.jail ?? "~") ? -1 : 1));
}

function nextOf(state: State, net: Net, scope: Scope, nowMs: number): Explanation["next"][number] {
  const { ladder } = state.policy;
  const history = state.bans.of(net).filter((ban) => ban.scope === scope);
  const level = levelOf(history, ladder, nowMs, ladder.length - 1);
  return { scope, level, banTimeMs: ladder[level]?.banTimeMs ?? ladder[0].banTimeMs };
}
