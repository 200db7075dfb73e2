import type { Scope } from "../../shared/order.ts";
import { only, type Sql } from "./sql.ts";

/** `expired`: nobody decided in time. */
export type ApprovalState = "waiting" | "approved" | "rejected" | "expired";
export type ApprovalRow = Readonly<{
  id: number;
  kind: "ban" | "allow";
  net: string;
  scope: Scope;
  spanMs: number | null;
  ports: readonly number[] | null;
  why: string;
  reason: string;
  askedBy: string;
  askedToken: number;
  askedMs: number;
  untilMs: number;
  state: ApprovalState;
  decidedBy: string | null;
  decidedMs: number | null;
  decidedNote: string | null;
  madeId: number | null;
}>;
export type NewApproval = Omit<ApprovalRow, "id" | "state" | "decidedBy" | "decidedMs" | "decidedNote" | "madeId">;

/** `$1` is the time now. */
const columns = `id, kind, net, scope, span_ms as "spanMs", ports, why, reason, asked_by as "askedBy",
  asked_token as "askedToken", asked_ms as "askedMs", until_ms as "untilMs",
  case when state = 'waiting' and until_ms <= $1 then 'expired' else state end as state, decided_by as "decidedBy",
  decided_ms as "decidedMs", decided_note as "decidedNote", made_id as "madeId"`;

export async function insertApproval(sql: Sql, asked: NewApproval): Promise<ApprovalRow> {
  const { kind, net, scope, spanMs, ports, why, reason, askedBy, askedToken, askedMs, untilMs } = asked;
  const rows = await sql.rows<ApprovalRow>(
    `insert into approvals (asked_ms, kind, net, scope, span_ms, ports, why, reason, asked_by, asked_token, until_ms, state)
     values ($1::bigint, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'waiting') returning ${columns}`,
    [askedMs, kind, net, scope, spanMs, ports, why, reason, askedBy, askedToken, untilMs],
  );
  return only(rows);
}

/** With `lock` nobody else decides it until the transaction ends. */
export async function findApproval(
  sql: Sql,
  id: number,
  nowMs: number,
  lock = false,
): Promise<ApprovalRow | undefined> {
  const [row] = await sql.rows<ApprovalRow>(
    `select ${columns} from approvals where id = $2 ${lock ? "for update" : ""}`,
    [nowMs, id],
  );
  return row;
}

/** Whose: one tenant's scope and hosts; null = everybody's. */
export type ApprovalFilter = Readonly<{ waiting: boolean; tenant: string | null; before: number | null }>;

/** Newest first. */
export async function listApprovals(
  sql: Sql,
  { waiting, tenant, before }: ApprovalFilter,
  nowMs: number,
  limit: number,
): Promise<ApprovalRow[]> {
  return sql.rows<ApprovalRow>(
    `select ${columns} from approvals where ($2::bigint is null or id < $2)
       ${waiting ? "and state = 'waiting' and until_ms > $1" : ""}
       and ($3::text is null or scope = 'tenant:' || $3
         or scope in (select 'host:' || host from hosts where tenant = $3))
     order by id desc limit $4`,
    [nowMs, before, tenant, limit],
  );
}

export async function countWaiting(sql: Sql, nowMs: number): Promise<number> {
  const [row] = await sql.rows<{ count: number }>(
    "select count(*) as count from approvals where state = 'waiting' and until_ms > $1",
    [nowMs],
  );
  return row?.count ?? 0;
}

export async function closeApproval(
  sql: Sql,
  id: number,
  decided: Readonly<{
    state: "approved" | "rejected";
    by: string;
    atMs: number;
    note: string | null;
    madeId: number | null;
  }>,
): Promise<void> {
  const { state, by, atMs, note, madeId } = decided;
  await sql.rows(
    "update approvals set state = $2, decided_by = $3, decided_ms = $4, decided_note = $5, made_id = $6 where id = $1",
    [id, state, by, atMs, note, madeId],
  );
}

/** Forgets what was decided, or not in time, before. */
export async function pruneApprovals(sql: Sql, beforeMs: number): Promise<void> {
  await sql.rows("delete from approvals where coalesce(decided_ms, until_ms) < $1", [beforeMs]);
}
