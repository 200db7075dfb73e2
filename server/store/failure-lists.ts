import { Fleet2banError } from "../../shared/errors.ts";
import { keyValues, withinKeys } from "./address-key.ts";
import type { FailureView } from "./failures.ts";
import type { Sql } from "./sql.ts";
import { Where } from "./where.ts";

export type FailureFilter = Readonly<{
  /** Arrived at or after. */
  sinceMs: number;
  net?: string | undefined;
  tenant?: string | undefined;
  host?: string | undefined;
  jail?: string | undefined;
  after?: FailurePlace | undefined;
}>;
/** Failures have no number; their place in the table tells those of one moment apart. */
export type FailurePlace = Readonly<{ receivedMs: number; row: string }>;
export type FailureRow = FailureView & FailurePlace;

export function readFailurePlace(text: string): FailurePlace {
  const [, receivedMs, page, item] = /^(\d{1,15})-(\d{1,10})-(\d{1,5})$/.exec(text) ?? [];
  if (receivedMs !== undefined) return { receivedMs: Number(receivedMs), row: `(${page},${item})` };
  throw new Fleet2banError("invalid", "cursor: not one of ours; take `next` from the page before");
}

export function writeFailurePlace({ receivedMs, row }: FailurePlace): string {
  return `${receivedMs}-${row.slice(1, -1).replace(",", "-")}`;
}

/** In the order of arrival, the newest first. */
export async function listFailures(sql: Sql, filter: FailureFilter, limit: number): Promise<FailureRow[]> {
  const where = new Where();
  where.is((place) => `received_ms >= ${place}`, filter.sinceMs);
  if (filter.net !== undefined) {
    where.also(withinKeys(where.values.length + 1));
    where.values.push(...keyValues(filter.net));
  }
  where.is((place) => `tenant = ${place}`, filter.tenant);
  where.is((place) => `host = ${place}`, filter.host);
  where.is((place) => `jail = ${place}`, filter.jail);
  if (filter.after !== undefined) {
    const { receivedMs, row } = filter.after;
    const [received, place] = [where.place(receivedMs), where.place(row)];
    where.also(`received_ms <= ${received} and (received_ms < ${received} or failures.ctid < ${place}::tid)`);
  }
  return sql.rows<FailureRow>(
    `select at_ms as "atMs", tenant, host, jail, host(address) as address, count, weight, sample,
       received_ms as "receivedMs", failures.ctid::text as row from failures
     where ${where.text} order by received_ms desc, failures.ctid desc limit ${where.place(limit)}`,
    where.values,
  );
}

export type AttackCount = Readonly<{ atMs: number; jail: string; count: number }>;

/** Jails named one by one in a chart; the others are one. */
const jailsMax = 20;

/** Hostile lines per minute of arrival and jail, oldest first. */
export async function attacksPerMinute(sql: Sql, tenant: string | null, sinceMs: number): Promise<AttackCount[]> {
  return sql.rows<AttackCount>(
    `with counted as (
       select received_ms / 60000 * 60000 as "atMs", jail, sum(count)::bigint as count from failures
       where received_ms >= $2 and ($1::text is null or tenant = $1) group by 1, 2
     ), ranked as (
       select jail from counted group by jail order by sum(count) desc, jail limit ${jailsMax}
     )
     select "atMs", case when jail in (select jail from ranked) then jail else 'other' end as jail, sum(count)::bigint as count
     from counted group by 1, 2 order by 1, 2`,
    [tenant, sinceMs],
  );
}

export type RecordedFailure = Readonly<{
  receivedMs: number;
  atMs: number;
  address: string;
  count: number;
  tenant: string;
  host: string;
  jail: string;
}>;

/** How many rows `failuresSince` will give. */
export async function countRecorded(sql: Sql, fromMs: number): Promise<number> {
  const [row] = await sql.rows<{ count: number }>("select count(*) as count from failures where received_ms >= $1", [
    fromMs,
  ]);
  return row?.count ?? 0;
}

/** Everything recorded from `fromMs` on, in the order of arrival, a page at a time. */
export async function* failuresSince(
  sql: Sql,
  fromMs: number,
  pageRows: number,
): AsyncGenerator<readonly RecordedFailure[]> {
  let [receivedMs, row] = [fromMs, "(0,0)"];
  for (;;) {
    const page = await sql.rows<RecordedFailure & { row: string }>(
      `select received_ms as "receivedMs", at_ms as "atMs", host(address) as address, count, tenant, host, jail,
         failures.ctid::text as row from failures
       where received_ms >= $1 and (received_ms > $1 or failures.ctid > $2::tid)
       order by received_ms, failures.ctid limit $3`,
      [receivedMs, row, pageRows],
    );
    yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageRows) return;
    [receivedMs, row] = [last.receivedMs, last.row];
  }
}

/** The arrival before which all but the newest `rowsMax` failures lie; null when there are fewer. */
export async function failureBefore(sql: Sql, fromMs: number, rowsMax: number): Promise<number | null> {
  const [row] = await sql.rows<{ receivedMs: number }>(
    `select received_ms as "receivedMs" from failures where received_ms >= $1 order by received_ms desc offset $2 limit 1`,
    [fromMs, rowsMax],
  );
  return row?.receivedMs ?? null;
}
