import type { DatabaseSync } from "node:sqlite";
import type { AllowOrder, BanOrder, Order, Scope } from "../../shared/order.ts";
import { inTransaction } from "./database.ts";

/** What stands in a scope: bans and allows that no later order lifted. */
export type StandingOrder = BanOrder | AllowOrder;
/** How far a scope's order log has been followed. */
export type OrderPlace = Readonly<{ epoch: string; revision: number }>;
export type OrderSet = OrderPlace & Readonly<{ standing: readonly StandingOrder[] }>;

export type ObserveWord = Readonly<{ observe: boolean; epoch: number; atMs: number }>;

/** The coordinator's orders, as last received: what an agent enforces while it is cut off, and at boot. */
export type OrderStore = Readonly<{
  /** Every scope with its place and standing orders; a restart's one read. Expired ones are left out. */
  load(nowMs: number): Map<Scope, OrderSet>;
  /** One frame: its orders and the new place, all or nothing. */
  apply(scope: Scope, place: OrderPlace, orders: readonly Order[]): void;
  /** A snapshot in place of whatever the scope held. */
  replace(scope: Scope, place: OrderPlace, standing: Iterable<StandingOrder>): void;
  /** Forgets a scope this host no longer belongs to. */
  drop(scope: Scope): void;
  /** The coordinator's last word on whether this host only observes; undefined = it never said anything. */
  observeWord(): ObserveWord | undefined;
  saveObserveWord(word: ObserveWord): void;
  /** Drops orders that have ended by themselves. */
  purge(nowMs: number): void;
}>;

export function openOrders(database: DatabaseSync): OrderStore {
  const scopes = database.prepare("SELECT scope, epoch, revision FROM order_scopes");
  const standing = database.prepare(
    "SELECT id, kind, net, until_ms, ports, level FROM orders WHERE scope = ? AND (until_ms IS NULL OR until_ms > ?)",
  );
  standing.setReturnArrays(true);
  const setPlace = database.prepare("INSERT OR REPLACE INTO order_scopes VALUES (?, ?, ?)");
  const put = database.prepare("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)");
  const remove = database.prepare("DELETE FROM orders WHERE scope = ? AND kind = ? AND id = ?");
  const clear = database.prepare("DELETE FROM orders WHERE scope = ?");
  const clearPlace = database.prepare("DELETE FROM order_scopes WHERE scope = ?");
  const word = database.prepare("SELECT observe, epoch, at_ms FROM observe_word");
  const setWord = database.prepare("INSERT OR REPLACE INTO observe_word VALUES (1, ?, ?, ?)");
  const purge = database.prepare("DELETE FROM orders WHERE until_ms <= ?");

  const write = (scope: Scope, order: Order): void => {
    switch (order.kind) {
      case "ban": {
        const ports = order.ports === null ? null : order.ports.join(" ");
        put.run(scope, "ban", order.id, order.net, order.untilMs, ports, order.level);
        return;
      }
      case "allow":
        put.run(scope, order.never === true ? "never" : "allow", order.id, order.net, order.untilMs, null, null);
        return;
      case "unban":
        remove.run(scope, "ban", order.id);
        return;
      case "disallow":
        // Allows and nevers share one sequence of ids.
        remove.run(scope, "allow", order.id);
        remove.run(scope, "never", order.id);
        return;
    }
  };

  return {
    load: (nowMs) => {
      const sets = new Map<Scope, OrderSet>();
      for (const row of scopes.all()) {
        // Only `apply` and `replace` write scopes, and they take nothing else.
        const scope = String(row.scope) as Scope;
        // Arrays, all at once: a third of the time that an iterator over objects takes.
        const orders = standing.all(scope, nowMs).map((columns) => orderOf(columns as unknown as Columns));
        sets.set(scope, { epoch: String(row.epoch), revision: Number(row.revision), standing: orders });
      }
      return sets;
    },
    apply: (scope, place, orders) =>
      inTransaction(database, () => {
        for (const order of orders) write(scope, order);
        setPlace.run(scope, place.epoch, place.revision);
      }),
    replace: (scope, place, wanted) =>
      inTransaction(database, () => {
        clear.run(scope);
        for (const order of wanted) write(scope, order);
        setPlace.run(scope, place.epoch, place.revision);
      }),
    drop: (scope) =>
      inTransaction(database, () => {
        clear.run(scope);
        clearPlace.run(scope);
      }),
    observeWord: () => {
      const row = word.get();
      if (row === undefined) return undefined;
      return { observe: row.observe === 1, epoch: Number(row.epoch), atMs: Number(row.at_ms) };
    },
    saveObserveWord: ({ observe, epoch, atMs }) => void setWord.run(observe ? 1 : 0, epoch, atMs),
    purge: (nowMs) => void purge.run(nowMs),
  };
}

/** In the order `load` selects them; typed by the strict table. */
type Columns = readonly [
  id: number,
  kind: string,
  net: string,
  untilMs: number | null,
  ports: string | null,
  level: number | null,
];

function orderOf([id, kind, net, untilMs, ports, level]: Columns): StandingOrder {
  if (kind === "allow") return { kind, id, net, untilMs };
  if (kind === "never") return { kind: "allow", id, net, untilMs, never: true };
  return { kind: "ban", id, net, untilMs, ports: ports === null ? null : ports.split(" ").map(Number), level };
}
