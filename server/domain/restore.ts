import { addressBits, subjectOf } from "../../shared/address.ts";
import type { Memory, RememberedBan, RememberedFailure } from "./judge.ts";
import { hostNumberOf, readNet, type State } from "./state.ts";

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
  for (const failure of memory.failures) restoreFailure(state, failure);
  for (const { tenant, net, atMs } of memory.settled) {
    state.windows.settle(state.tenants.get(tenant).number, readNet(net), atMs);
  }
  for (const held of memory.held) state.brake.hold(held);
  state.lastBanId = Math.max(state.lastBanId, memory.lastBanId);
}

function restoreBan(state: State, remembered: RememberedBan): void {
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
  // Failures that had their answer only take room.
  if (atMs <= state.bans.coveredUntilMs(subject, tenant.scope)) return;
  const entry = { atMs, host, jail: state.jails.numberOf(jail), forFleet: weight === "fleet", count };
  state.windows.remember(tenant.number, subject, entry, state.clockMs);
}
