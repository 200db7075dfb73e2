import { dayMs } from "../../shared/durations.ts";
import { reportedRefusalsMax, type StatusReport } from "../../shared/fleet-messages.ts";
import { type BanOrder, banTimeMsMax, type Order, type Scope } from "../../shared/order.ts";
import type { UnusableOrder } from "../../shared/order-frame.ts";
import type { Logger } from "../logger.ts";

type Refused = StatusReport["refused"][number];

export type RefusedOrdersParts = Readonly<{
  /** Why this host will not carry out this ban now (never-listed, too wide); undefined = it will. */
  refuse: (order: BanOrder) => string | undefined;
  now: () => number;
  log: Logger;
}>;

/** A host whose clock is behind must not take a lawful ban for one that is too long. */
const clockToleranceMs = dayMs;

/** Orders this host holds and does not carry out, with the reason that the coordinator is told. */
export class RefusedOrders {
  readonly #parts: RefusedOrdersParts;
  readonly #refused = new Map<string, Refused>();
  /** Those of them that this host may carry out later: an address is protected only for a while. */
  readonly #waiting = new Map<string, Readonly<{ scope: Scope; order: BanOrder }>>();

  constructor(parts: RefusedOrdersParts) {
    this.#parts = parts;
  }

  /** @returns whether the order is to be carried out; what lifts a refused ban ends its being reported */
  accepts(scope: Scope, order: Order): boolean {
    const key = `${scope} ${order.id}`;
    if (order.kind === "unban") {
      this.#refused.delete(key);
      this.#waiting.delete(key);
    }
    if (order.kind === "unban" || order.kind === "disallow") this.#refused.delete(`${scope} unusable ${order.id}`);
    if (order.kind !== "ban") return true;
    const tooLong = isTooLong(order, this.#parts.now()) ? "lasts longer than any policy allows" : undefined;
    const why = tooLong ?? this.#parts.refuse(order);
    if (why === undefined) return true;
    this.#refused.set(key, { scope, id: order.id, net: order.net, why });
    if (tooLong === undefined) this.#waiting.set(key, { scope, order });
    this.#parts.log.warn({ scope, net: order.net, why, event: "ban_refused" }, "refused to carry out a ban");
    return false;
  }

  /** Orders that could not be read as any; a snapshot says all of them anew. */
  noteUnusable(scope: Scope, unusable: readonly UnusableOrder[], isSnapshot: boolean): void {
    const prefix = `${scope} unusable `;
    if (isSnapshot) for (const key of this.#refused.keys()) if (key.startsWith(prefix)) this.#refused.delete(key);
    for (const { id, net, why } of unusable) {
      this.#refused.set(prefix + id, { scope, id, net, why });
      this.#parts.log.warn({ scope, id, net, why, event: "order_unusable" }, "cannot carry out an order");
    }
  }

  /** An admin's session has ended, an address is another's now. @returns what was refused for its sake and may be carried out */
  reconsider(): readonly Readonly<{ scope: Scope; order: BanOrder }>[] {
    const accepted = [...this.#waiting].filter(([, { order }]) => this.#parts.refuse(order) === undefined);
    for (const [key] of accepted) {
      this.#waiting.delete(key);
      this.#refused.delete(key);
    }
    return accepted.map(([, each]) => each);
  }

  /** As many as a report holds. */
  get reported(): Refused[] {
    return [...this.#refused.values()].slice(0, reportedRefusalsMax);
  }
}

/** A policy's bans end within what policies may say; only a person's may be for ever, and the canary. */
export function isTooLong({ level, untilMs }: BanOrder, nowMs: number): boolean {
  return level !== null && (untilMs === null || untilMs > nowMs + banTimeMsMax + clockToleranceMs);
}
