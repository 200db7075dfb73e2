import type { OrderLog } from "../../server/orders/publisher.ts";
import type { OrderStretch } from "../../server/orders/scope-log.ts";
import type { Order, Scope } from "../../shared/order.ts";
import { OrderSet } from "../../shared/order-set.ts";

/** The order log a database would keep; it outlives coordinators. */
export class MemoryOrderLog implements OrderLog {
  epoch = 1;
  readonly #scopes = new Map<Scope, { orders: Order[]; set: OrderSet }>();
  /** Questions asked, by kind: what agents cost the database. */
  readonly asked = { activeSet: 0, ordersSince: 0 };

  append(scope: Scope, orders: readonly Order[]): OrderStretch {
    const log = this.#of(scope);
    const from = log.orders.length;
    for (const order of orders) {
      log.orders.push(order);
      log.set.apply(order, log.orders.length);
    }
    return { from, orders };
  }
  hash(scope: Scope): string {
    return this.#of(scope).set.hash;
  }
  async heads(): Promise<ReadonlyMap<Scope, number>> {
    return new Map([...this.#scopes].map(([scope, { orders }]) => [scope, orders.length]));
  }
  async activeSet(scope: Scope) {
    this.asked.activeSet += 1;
    const { set } = this.#of(scope);
    return { revision: set.revision, standing: [...set.entries()] };
  }
  async ordersSince(scope: Scope, revision: number, limit: number): Promise<OrderStretch | undefined> {
    this.asked.ordersSince += 1;
    const { orders } = this.#of(scope);
    return revision > orders.length ? undefined : { from: revision, orders: orders.slice(revision, revision + limit) };
  }
  #of(scope: Scope): { orders: Order[]; set: OrderSet } {
    const known = this.#scopes.get(scope) ?? { orders: [], set: new OrderSet() };
    this.#scopes.set(scope, known);
    return known;
  }
}
