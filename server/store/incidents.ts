import type { Scope } from "../../shared/order.ts";
import type { BanReason, Evidence, StoppedDecision } from "../domain/judge.ts";
import type { Sql } from "./sql.ts";

/** A ban the brake held and nobody has decided yet. */
export type HeldRow = Readonly<{ id: number }> & StoppedDecision;

const heldColumns = `id, kind, at_ms as "atMs", net, scope, why, ports, reason, evidence, tenant`;

/** Newest first, those below `before`. */
export async function listHeld(sql: Sql, before: number | null, limit: number): Promise<HeldRow[]> {
  return sql.rows<HeldRow>(
    `select ${heldColumns} from stopped_bans where kind = 'held' and closed_ms is null
       and ($1::bigint is null or id < $1) order by id desc limit $2`,
    [before, limit],
  );
}

export async function findHeld(sql: Sql, id: number): Promise<HeldRow | undefined> {
  const [row] = await sql.rows<HeldRow>(
    `select ${heldColumns} from stopped_bans where id = $1 and kind = 'held' and closed_ms is null`,
    [id],
  );
  return row;
}

export async function countHeld(sql: Sql): Promise<number> {
  const [row] = await sql.rows<{ count: number }>(
    "select count(*) as count from stopped_bans where kind = 'held' and closed_ms is null",
  );
  return row?.count ?? 0;
}

/** What came of a full window: a ban, or one that was stopped. `source` and `id` tell rows of one moment apart. */
export type IncidentRow = Readonly<{
  source: "ban" | "stopped";
  id: number;
  atMs: number;
  outcome: "banned" | "held" | "refused";
  net: string;
  scope: Scope;
  reason: BanReason;
  why: string | null;
  level: number | null;
  evidence: Evidence;
}>;
export type IncidentPlace = Pick<IncidentRow, "atMs" | "source" | "id">;

/** Newest first. Bans by hand are no incidents. `tenant` null = all; otherwise its own scope and the fleet's bans. */
export async function listIncidents(
  sql: Sql,
  tenant: string | null,
  after: IncidentPlace | null,
  limit: number,
): Promise<IncidentRow[]> {
  const [bans, stopped] =
    tenant === null ? ["", ""] : ["and scope in ('fleet', 'tenant:' || $5)", "and scope = 'tenant:' || $5"];
  const before = (moment: string, source: string) =>
    `${moment} <= coalesce($1::bigint, 9223372036854775807)
       and ($1::bigint is null or (${moment}, '${source}', id) < ($1, $2::text, $3::bigint))`;
  return sql.rows<IncidentRow>(
    `select * from (
       (select 'ban' as source, id, started_ms as "atMs", 'banned' as outcome, net, scope, reason, null as why, level, evidence
        from bans where level is not null ${bans} and ${before("started_ms", "ban")}
        order by started_ms desc, id desc limit $4)
       union all
       (select 'stopped', id, at_ms, kind, net, scope, reason, why, null, evidence from stopped_bans
        where reason <> 'admin' ${stopped} and ${before("at_ms", "stopped")}
        order by at_ms desc, id desc limit $4)
     ) as incident order by "atMs" desc, source desc, id desc limit $4`,
    [after?.atMs ?? null, after?.source ?? null, after?.id ?? null, limit, ...(tenant === null ? [] : [tenant])],
  );
}
