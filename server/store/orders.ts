import type { BanOrder, Order, Scope } from "../../shared/order.ts";
import type { Standing } from "../../shared/order-set.ts";
import type { Sql } from "./sql.ts";

/** Consecutive orders of one scope: `orders[i]` has revision `from + i + 1`. */
export type OrderStretch = Readonly<{ scope: Scope; from: number; orders: readonly Order[] }>;
/** What stands in a scope at a revision. */
export type ActiveSet = Readonly<{ scope: Scope; revision: number; standing: readonly Standing[] }>;

/** The agents' orders of one pull are at most what one frame holds; a longer way back is a snapshot's work. */
export const ordersMax = 4000;

/**
 * Appends orders to their scopes' logs, in the given sequence. The scopes' rows stay locked until the transaction ends,
 * so revisions have no gap and no reader sees a later one before an earlier.
 */
export async function appendOrders(
  sql: Sql,
  entries: readonly Readonly<{ scope: Scope; order: Order }>[],
  nowMs: number,
): Promise<OrderStretch[]> {
  if (entries.length === 0) return [];
  const byScope = Map.groupBy(entries, (entry) => entry.scope);
  // Sorted, so that two writers would take the locks in the same sequence.
  const scopes = [...byScope.keys()].toSorted();
  const counts = scopes.map((scope) => byScope.get(scope)?.length ?? 0);
  const advanced = await sql.rows<{ scope: Scope; revision: number }>(
    `insert into scopes (scope, revision) select * from unnest($1::text[], $2::bigint[])
     on conflict (scope) do update set revision = scopes.revision + excluded.revision returning scope, revision`,
    [scopes, counts],
    "advance-scopes",
  );
  const stretches = advanced.map(({ scope, revision }): OrderStretch => {
    const orders = (byScope.get(scope) ?? []).map((entry) => entry.order);
    return { scope, from: revision - orders.length, orders };
  });
  const rows = stretches.flatMap(({ scope, from, orders }) =>
    orders.map((order, index) => ({ scope, revision: from + index + 1, order })),
  );
  await sql.rows(
    `insert into orders (scope, revision, at_ms, "order")
     select scope, revision, $2, "order" from json_to_recordset($1) as row(scope text, revision bigint, "order" jsonb)`,
    [JSON.stringify(rows), nowMs],
    "append-orders",
  );
  return stretches;
}

/**
 * The orders after `revision`, at most `limit`.
 *
 * @returns undefined when the log no longer reaches back that far: the asker needs the active set
 */
export async function ordersSince(
  sql: Sql,
  scope: Scope,
  revision: number,
  limit = ordersMax,
): Promise<OrderStretch | undefined> {
  const rows = await sql.rows<{ revision: number; order: Order }>(
    `select revision, "order" from orders where scope = $1 and revision > $2 order by revision limit $3`,
    [scope, revision, limit],
  );
  if (rows[0] === undefined) {
    return (await revisionOf(sql, scope)) === revision ? { scope, from: revision, orders: [] } : undefined;
  }
  return rows[0].revision === revision + 1
    ? { scope, from: revision, orders: rows.map((row) => row.order) }
    : undefined;
}

/** The last revision of a scope's log; 0 before its first order. */
export async function revisionOf(sql: Sql, scope: Scope): Promise<number> {
  const rows = await sql.rows<{ revision: number }>("select revision from scopes where scope = $1", [scope]);
  return rows[0]?.revision ?? 0;
}

export async function revisions(sql: Sql): Promise<Map<Scope, number>> {
  const rows = await sql.rows<{ scope: Scope; revision: number }>("select scope, revision from scopes");
  return new Map(rows.map((row) => [row.scope, row.revision]));
}

/**
 * What stands in a scope, with the revision it belongs to: bans and allows added minus removed by the orders up to it.
 * One statement, so one view of the database, whatever commits meanwhile.
 */
export async function activeSet(sql: Sql, scope: Scope): Promise<ActiveSet> {
  const tenant = scope.startsWith("tenant:") ? scope.slice("tenant:".length) : null;
  const rows = await sql.rows<StandingRow>(
    `select coalesce((select revision from scopes where scope = $1), 0) as revision, standing.*
     from (select 1) as one left join (
       select 'ban' as kind, id, net, until_ms as "untilMs", ports,
         case when starts_with(reason, 'feed ') then 0 else level end as level
       from bans where scope = $1 and ended_ms is null
       union all
       select kind, id, net, until_ms, null, null
       from rules where removed_ms is null and not starts_with($1, 'host:') and tenant is not distinct from $2
     ) as standing on true`,
    [scope, tenant],
  );
  const standing = rows.flatMap(({ kind, id, net, untilMs, ports, level }): Standing[] => {
    if (kind === null) return [];
    if (kind === "ban") return [{ kind, id, net, untilMs, ports, level }];
    return [{ kind: "allow", id, net, untilMs, ...(kind === "never" ? { never: true } : {}) }];
  });
  return { scope, revision: rows[0]?.revision ?? 0, standing };
}

/** All null but the revision when nothing stands. */
type StandingRow = Omit<BanOrder, "kind"> & Readonly<{ revision: number; kind: Standing["kind"] | "never" | null }>;

/**
 * Names one life of the order logs and only ever grows. A database restored from a backup has forgotten revisions that
 * agents hold: whoever notices starts a new life, and all agents begin again from a snapshot.
 */
export async function orderEpoch(sql: Sql, nowMs: number): Promise<number> {
  const rows = await sql.rows<{ value: number }>(
    `insert into meta (key, value) values ('orderEpoch', to_jsonb($1::bigint))
     on conflict (key) do update set value = meta.value returning value`,
    [Math.floor(nowMs / 1000)],
  );
  return rows[0]?.value ?? 0;
}

export async function startOrderEpoch(sql: Sql, nowMs: number): Promise<number> {
  const before = await orderEpoch(sql, nowMs);
  const epoch = Math.max(before + 1, Math.floor(nowMs / 1000));
  await sql.rows("update meta set value = to_jsonb($1::bigint) where key = 'orderEpoch'", [epoch]);
  return epoch;
}

/** What was ordered in one turn of the coordinator, by scope: the last revision. Empty when it is forgotten by now. */
export async function orderedAt(sql: Sql, atMs: number): Promise<Readonly<{ scope: Scope; revision: number }>[]> {
  return sql.rows<{ scope: Scope; revision: number }>(
    "select scope, max(revision) as revision from orders where at_ms = $1 group by scope order by scope",
    [atMs],
  );
}

/** Forgets orders from before, but never the last one of a scope. @returns how many */
export async function pruneOrders(sql: Sql, beforeMs: number): Promise<number> {
  const rows = await sql.rows<{ count: number }>(
    `with gone as (delete from orders using scopes
       where orders.at_ms < $1 and scopes.scope = orders.scope and orders.revision < scopes.revision returning 1)
     select count(*) as count from gone`,
    [beforeMs],
  );
  return rows[0]?.count ?? 0;
}

/** Orders that are in the database and that nobody was told of: their commit's answer got lost. */
export async function missedOrders(sql: Sql, told: ReadonlyMap<Scope, number>): Promise<OrderStretch[]> {
  const missed: OrderStretch[] = [];
  for (const [scope, revision] of await revisions(sql)) {
    const known = told.get(scope) ?? 0;
    const stretch = known < revision ? await ordersSince(sql, scope, known, revision - known) : undefined;
    if (stretch !== undefined) missed.push(stretch);
  }
  return missed;
}
