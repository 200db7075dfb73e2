import { addressBits, subjectOf } from "../../shared/address.ts";
import type { Counted, Memory, RememberedBan, RememberedFailure } from "./judge.ts";
import { hostNumberOf, jailPolicyOf, newState, owns, readNet, type State } from "./state.ts";
import { Windows } from "./windows.ts";

/** Brings an empty state to where the judge was that made these rows. Decides nothing. */
export function restore(state: State, memory: Memory, nowMs: number): void {
  state.clockMs = nowMs;
  for (const { tenant: name, trust, createdAtMs } of memory.tenants) {
    Object.assign(state.tenants.get(name), { trust, createdAtMs });
  }
  for (const { net, tenant } of memory.allows) {
    const allows = tenant === null ? state.lists.fleetAllows : state.tenants.get(tenant).allows;
    allows.set(readNet(net), true);
  }
  for (const { net } of memory.nevers) state.lists.addNever(readNet(net));
  for (const { tenant, host, on, liftedAtMs } of memory.quarantines) {
    if (host === null) {
      state.tenants.get(tenant).quarantined = on;
      continue;
    }
    const number = hostNumberOf(state, tenant, host);
    if (liftedAtMs !== null) state.agents.clear(number, liftedAtMs);
    if (on) state.agents.quarantine(number);
  }
  // The book keeps bans of a net in the order they were made, and the brake its starts.
  for (const ban of [...memory.bans].toSorted((one, other) => one.id - other.id)) restoreBan(state, ban);
  restoreCounted(state, memory);
  for (const held of memory.held) state.brake.hold(held);
  state.lastBanId = Math.max(state.lastBanId, memory.lastBanId);
}

/** The same state with the windows of a few subjects that are counted elsewhere. */
export function recall(state: State, counted: Counted): State {
  const recalled = { ...newState(state.policy), clockMs: state.clockMs };
  const { tenants, bans, lists, hosts, jails, networks, brake } = state;
  const windows = new Windows(state.policy, (jail) => jailPolicyOf(state.policy, jails.nameOf(jail)));
  const shown = { ...recalled, tenants, bans, lists, hosts, jails, networks, brake, windows };
  restoreCounted(shown, counted);
  return shown;
}

function restoreCounted(state: State, { failures, settled }: Counted): void {
  for (const failure of failures) restoreFailure(state, failure);
  for (const { tenant, net, atMs } of settled) {
    if (owns(state, readNet(net))) state.windows.settle(state.tenants.get(tenant).number, readNet(net), atMs);
  }
}

/** Adds a ban that was made before, or by another judge. */
export function restoreBan(state: State, remembered: RememberedBan): void {
  const ban = { ...remembered, net: readNet(remembered.net) };
  state.bans.add(ban);
  state.lastBanId = Math.max(state.lastBanId, ban.id);
  if (ban.level === null) return;
  state.networks.add(ban);
  if (ban.scope === "fleet") state.brake.note(ban.startMs);
}

function restoreFailure(state: State, failure: RememberedFailure): void {
  const { weight, atMs, jail, count } = failure;
  const tenant = state.tenants.get(failure.tenant);
  const host = hostNumberOf(state, failure.tenant, failure.host);
  const net = readNet(failure.net);
  const subject = net.prefix === addressBits[net.family] ? subjectOf(net, state.policy.ipv6Prefix) : net;
  state.agents.remember(host, subject, atMs);
  // Failures that had their answer, or get it elsewhere, only take room.
  if (!owns(state, subject) || atMs <= state.bans.coveredUntilMs(subject, tenant.scope)) return;
  const entry = { atMs, host, jail: state.jails.numberOf(jail), forFleet: weight === "fleet", count };
  state.windows.remember(tenant.number, subject, entry, state.clockMs);
}
