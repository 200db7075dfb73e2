import type { Order, Scope } from "../shared/order.ts";
import type { Enforcer } from "./firewall/enforcer.ts";
import { changeOf } from "./fleet/order-bans.ts";
import type { JailEffects } from "./watch/jail-effects.ts";
import type { WatchedJail } from "./watch/watched-jail.ts";

export type OrderTargets = Readonly<{
  enforcer: Enforcer;
  effects: JailEffects;
  jails: readonly WatchedJail[];
  now: () => number;
}>;

/** Does what the coordinator ordered: allows before bans, so that nobody allowed is cut off in between. */
export async function carryOutOrders(scope: Scope, orders: readonly Order[], targets: OrderTargets): Promise<void> {
  const { enforcer, effects, jails, now } = targets;
  const { bans, unbans, allows, disallows, lifts } = changeOf(scope, orders);
  if (disallows.length > 0) await enforcer.disallow(disallows);
  if (allows.length > 0) await enforcer.allow(allows);
  if (unbans.length > 0) await enforcer.unban(unbans);
  for (const { net, reason } of lifts) await effects.lift(jails, net, reason, now());
  if (bans.length > 0) await enforcer.ban(bans);
}
