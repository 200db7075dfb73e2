import type { Net } from "../../shared/address.ts";
import { lift } from "./ban.ts";
import type { Decision, Fact } from "./judge.ts";
import { hostNumberOf, type State } from "./state.ts";

/** Adds an allow or takes it back. A new one lifts the bans inside it: the fleet's for the fleet, a tenant's for a tenant. */
export function allow(state: State, net: Net, tenantName: string | null, add: boolean, decisions: Decision[]): void {
  const tenant = tenantName === null ? null : state.tenants.get(tenantName);
  const allows = tenant === null ? state.lists.fleetAllows : tenant.allows;
  if (!add) {
    allows.delete(net);
    return;
  }
  allows.set(net, true);
  const scope = tenant === null ? "fleet" : tenant.scope;
  for (const ban of state.bans.standingIn(net, false)) {
    if (ban.scope === scope) lift(state, ban, state.clockMs, "allowed", decisions);
  }
}

/** Adds a never or takes it back. A new one lifts every ban that shares an address with it, whoever made it. */
export function never(state: State, net: Net, add: boolean, decisions: Decision[]): void {
  if (!add) {
    state.lists.removeNever(net);
    return;
  }
  state.lists.addNever(net);
  for (const ban of state.bans.standingIn(net, true)) lift(state, ban, state.clockMs, "allowed", decisions);
}

/** Begins a host's or a tenant's quarantine, or lifts it at `atMs`. */
export function quarantine(state: State, fact: Extract<Fact, { kind: "quarantine" }>, atMs: number): void {
  if (fact.host === null) {
    state.tenants.get(fact.tenant).quarantined = fact.on;
    return;
  }
  const host = hostNumberOf(state, fact.tenant, fact.host);
  if (fact.on) state.agents.quarantine(host);
  else state.agents.clear(host, atMs);
}
