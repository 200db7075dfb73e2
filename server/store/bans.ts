import type { BanOrder, Scope, UnbanReason } from "../../shared/order.ts";
import { feedOf } from "../domain/feed-ban.ts";
import type {
  BanDecision,
  BanReason,
  Evidence,
  RememberedBan,
  StoppedDecision,
  UnbanDecision,
} from "../domain/judge.ts";
import type { Sql } from "./sql.ts";

/** Who is answerable for a decision: `policy 3`, or an admin with the admin's own words. */
export type Author = Readonly<{ by: string; note: string | null }>;

export type BanView = Readonly<{
  id: number;
  net: string;
  scope: Scope;
  level: number | null;
  ports: readonly number[] | null;
  reason: BanReason;
  /** `policy 3` or an admin's name. */
  by: string;
  note: string | null;
  startedMs: number;
  untilMs: number | null;
  endedMs: number | null;
  endReason: UnbanReason | null;
  endedBy: string | null;
  endNote: string | null;
  evidence: Evidence;
  startRevision: number;
  endRevision: number | null;
}>;

export const banColumns = `id, net, scope, level, ports, reason, made_by as by, note, started_ms as "startedMs",
  until_ms as "untilMs", ended_ms as "endedMs", end_reason as "endReason", ended_by as "endedBy", end_note as "endNote",
  evidence, start_revision as "startRevision", end_revision as "endRevision"`;

export type Placed<T> = Readonly<{ decision: T; revision: number }>;

/** What the policy decided is the policy's, also when an admin's act led to it; only bans by hand are the admin's. */
export async function insertBans(
  sql: Sql,
  bans: readonly Placed<BanDecision>[],
  policy: Author,
  admin: Author,
): Promise<void> {
  if (bans.length === 0) return;
  const rows = bans.map(({ decision, revision }) => {
    const author = decision.level === null ? admin : policy;
    return { ...decision, ...author, revision };
  });
  await sql.rows(
    `insert into bans (id, net, scope, level, ports, started_ms, until_ms, reason, evidence, vote, made_by, note, start_revision)
     select id, net, scope, level, ports, "atMs", "untilMs", reason, evidence, vote, by, note, revision
     from json_to_recordset($1) as row(id bigint, net cidr, scope text, level smallint, ports integer[], "atMs" bigint,
       "untilMs" bigint, reason text, evidence jsonb, vote boolean, by text, note text, revision bigint)`,
    [JSON.stringify(rows)],
    "insert-bans",
  );
  // A ban overtakes what the brake held of the same net and scope; a feed's does not.
  const own = bans.filter(({ decision }) => feedOf(decision.reason) === undefined);
  if (own.length === 0) return;
  await sql.rows(
    `update stopped_bans set closed_ms = row."atMs"
     from json_to_recordset($1) as row(net cidr, scope text, "atMs" bigint)
     where kind = 'held' and closed_ms is null and stopped_bans.net = row.net and stopped_bans.scope = row.scope`,
    [JSON.stringify(own.map(({ decision: { net, scope, atMs } }) => ({ net, scope, atMs })))],
    "close-held",
  );
}

/** @param author  who lifted them; null, and for those that expired: nobody */
export async function endBans(
  sql: Sql,
  unbans: readonly Placed<UnbanDecision>[],
  author: Author | null,
): Promise<void> {
  if (unbans.length === 0) return;
  const rows = unbans.map(({ decision, revision }) => ({
    id: decision.id,
    atMs: decision.atMs,
    reason: decision.reason,
    revision,
  }));
  await sql.rows(
    `update bans set ended_ms = row."atMs", end_reason = row.reason, end_revision = row.revision,
       ended_by = case row.reason when 'expired' then null else $2 end,
       end_note = case row.reason when 'expired' then null else $3 end
     from json_to_recordset($1) as row(id bigint, "atMs" bigint, reason text, revision bigint)
     where bans.id = row.id and bans.ended_ms is null`,
    [JSON.stringify(rows), author?.by ?? null, author?.note ?? null],
    "end-bans",
  );
}

/** Bans that had ended and turned out to be mistakes: when they ended stays. */
export async function markMistakes(sql: Sql, ids: readonly number[], author: Author | null): Promise<void> {
  if (ids.length === 0) return;
  await sql.rows(
    `update bans set end_reason = 'false-positive', ended_by = $2, end_note = $3
     where id = any($1::bigint[]) and ended_ms is not null`,
    [ids, author?.by ?? null, author?.note ?? null],
  );
}

export async function insertStopped(sql: Sql, stopped: readonly StoppedDecision[]): Promise<void> {
  if (stopped.length === 0) return;
  await sql.rows(
    `insert into stopped_bans (kind, at_ms, net, scope, why, ports, reason, evidence, tenant)
     select kind, "atMs", net, scope, why, ports, reason, evidence, tenant from json_to_recordset($1) as row(kind text,
       "atMs" bigint, net cidr, scope text, why text, ports integer[], reason text, evidence jsonb, tenant text)`,
    [JSON.stringify(stopped)],
    "insert-stopped",
  );
}

/** Marks what the brake held as decided by an admin. */
export async function closeHeld(sql: Sql, net: string, scope: Scope, atMs: number): Promise<void> {
  await sql.rows(
    `update stopped_bans set closed_ms = $3 where kind = 'held' and closed_ms is null and net = $1::cidr and scope = $2`,
    [net, scope, atMs],
  );
}

const stoppedColumns = `kind, at_ms as "atMs", net, scope, why, ports, reason, evidence, tenant`;

export async function heldBans(sql: Sql): Promise<StoppedDecision[]> {
  return sql.rows(
    `select ${stoppedColumns} from stopped_bans where kind = 'held' and closed_ms is null order by at_ms, id`,
  );
}

export async function settledSince(
  sql: Sql,
  sinceMs: number,
): Promise<Readonly<{ tenant: string; net: string; atMs: number }>[]> {
  return sql.rows(`select tenant, net, at_ms as "atMs" from stopped_bans where tenant is not null and at_ms >= $1`, [
    sinceMs,
  ]);
}

/** Bans that stand or started since, for the judge; of those of feeds only what stands. */
export async function rememberedBans(sql: Sql, sinceMs: number): Promise<RememberedBan[]> {
  return sql.rows<RememberedBan>(
    `select id, net, scope, level, started_ms as "startMs", until_ms as "untilMs", ended_ms as "endMs",
       end_reason as "endReason", ports, reason, evidence, vote
     from bans where ended_ms is null or (started_ms >= $1 and not starts_with(reason, 'feed '))`,
    [sinceMs],
  );
}

/** The highest id ever given: its row outlives every pruning, and erasing notes it down, so that no id is given twice. */
export async function lastBanId(sql: Sql): Promise<number> {
  const [row] = await sql.rows<{ id: number | null }>(
    "select greatest((select max(id) from bans), (select value::text::bigint from meta where key = 'lastBanId')) as id",
  );
  return row?.id ?? 0;
}

/** Forgets bans that ended before, those of feeds sooner than ours. @returns how many */
export async function pruneBans(sql: Sql, beforeMs: number, feedsBeforeMs: number): Promise<number> {
  const rows = await sql.rows<{ count: number }>(
    `with gone as (
       delete from bans where (ended_ms < $1 or (ended_ms < $2 and starts_with(reason, 'feed ')))
         and id < (select max(id) from bans) returning 1)
     select count(*) as count from gone`,
    [beforeMs, feedsBeforeMs],
  );
  return rows[0]?.count ?? 0;
}

/** Forgets refusals, and what was held and decided, from before. */
export async function pruneStopped(sql: Sql, beforeMs: number): Promise<number> {
  const rows = await sql.rows<{ count: number }>(
    `with gone as (delete from stopped_bans where at_ms < $1 and (kind = 'refused' or closed_ms is not null) returning 1)
     select count(*) as count from gone`,
    [beforeMs],
  );
  return rows[0]?.count ?? 0;
}

export async function banById(sql: Sql, id: number): Promise<BanView | undefined> {
  const [row] = await sql.rows<BanView>(`select ${banColumns} from bans where id = $1`, [id]);
  return row;
}

/** The order that makes agents enforce a ban. What no person ordered has a level there: hosts bound it more tightly. */
export function banOrder(ban: Pick<BanDecision, "id" | "net" | "untilMs" | "ports" | "level" | "reason">): BanOrder {
  const { id, net, untilMs, ports, reason } = ban;
  return { kind: "ban", id, net, untilMs, ports, level: feedOf(reason) === undefined ? ban.level : 0 };
}
