import type { AllowOrder, BanOrder, Order, Scope } from "../../shared/order.ts";
import type { OwnedAllow, OwnedBan } from "../firewall/wanted-set.ts";

/** A stretch of orders as the firewall's owners speak of it: what to add and what to take away, in the end. */
export type OrderChange = Readonly<{
  bans: readonly OwnedBan[];
  unbans: readonly string[];
  allows: readonly OwnedAllow[];
  disallows: readonly string[];
  /** Nets whose bans by the host's own jails end too. */
  lifts: readonly Extract<Order, { kind: "unban" }>[];
}>;

/** Names a coordinator's ban or allow among all owners' of this host. */
const orderId = (scope: Scope, kind: "ban" | "allow", id: number) => `${scope}:${kind}:${id}`;

export function changeOf(scope: Scope, orders: readonly Order[]): OrderChange {
  const bans = new Map<string, OwnedBan>();
  const unbans = new Set<string>();
  const allows = new Map<string, OwnedAllow>();
  const disallows = new Set<string>();
  const lifts: Extract<Order, { kind: "unban" }>[] = [];
  for (const order of orders) {
    if (order.kind === "ban") bans.set(orderId(scope, "ban", order.id), ownedBan(scope, order));
    else if (order.kind === "allow") allows.set(orderId(scope, "allow", order.id), ownedAllow(scope, order));
    else if (order.kind === "disallow") {
      allows.delete(orderId(scope, "allow", order.id));
      disallows.add(orderId(scope, "allow", order.id));
    } else {
      bans.delete(orderId(scope, "ban", order.id));
      unbans.add(orderId(scope, "ban", order.id));
      if (order.reason !== "expired") lifts.push(order);
    }
  }
  return {
    bans: [...bans.values()],
    unbans: [...unbans],
    allows: [...allows.values()],
    disallows: [...disallows],
    lifts,
  };
}

function tierOf(scope: Scope): "fleet" | "tenant" | "host" {
  if (scope === "fleet") return "fleet";
  return scope.startsWith("tenant:") ? "tenant" : "host";
}

function ownedBan(scope: Scope, { id, net, ports, untilMs, level }: BanOrder): OwnedBan {
  const ban = { id: orderId(scope, "ban", id), tier: tierOf(scope), net, ports, untilMs } as const;
  return level === null ? { ...ban, byHand: true } : ban;
}

function ownedAllow(scope: Scope, { id, net, untilMs, never }: AllowOrder): OwnedAllow {
  return {
    id: orderId(scope, "allow", id),
    tier: never === true ? "never" : scope === "fleet" ? "fleet" : "tenant",
    net,
    untilMs,
  };
}
