import type { Net } from "../../shared/address.ts";
import { dayMs } from "../../shared/durations.ts";
import type { RememberedFailure, Weight } from "../domain/judge.ts";
import { keyValues, withinKeys } from "./address-key.ts";
import { copyFailures, copyHeader, copyTrailer, encodeFailures } from "./copy-failures.ts";
import { dayOf, dayTable } from "./day-tables.ts";
import { PackedFailures } from "./packed-failures.ts";
import { only, type Sql } from "./sql.ts";

/** Rows read at a time while the judge is rebuilt. */
const fetchRows = 5_000;

/** A failure as it is kept. `atMs` as it counted, never after `receivedMs` of its batch. */
export type FailureRow = Readonly<{
  atMs: number;
  /** In any spelling: what is kept is the address. */
  address: string;
  /** The address, if it has been read already. */
  read?: Net | undefined;
  count: number;
  tenant: string;
  host: string;
  jail: string;
  weight: Weight;
  sample: string | null;
}>;

/** Writes failures in one statement. */
export async function insertFailures(sql: Sql, rows: readonly FailureRow[], receivedMs: number): Promise<void> {
  if (rows.length > 0) await sql.copyIn(copyFailures, [copyHeader, encodeFailures(rows, receivedMs), copyTrailer]);
}

/** Any number that nobody else in the database uses. */
const daysLock = 7_312_004_223;

/** Makes sure that failures arriving on the day of `nowMs` and the day after have a table to go to. */
export async function createFailureDays(sql: Sql, nowMs: number): Promise<void> {
  // Two coordinators at once would both find that it is missing.
  await sql.rows("select pg_advisory_xact_lock($1)", [daysLock]);
  const today = dayOf(nowMs);
  for (const start of [today, today + dayMs]) {
    const bounds = `for values from (${start}) to (${start + dayMs})`;
    // Rows never change and go with their day: tidying up after inserts would only read them all again.
    const settings = "with (autovacuum_vacuum_insert_threshold = -1)";
    await sql.rows(
      `create table if not exists ${dayTable("failures", start)} partition of failures ${bounds} ${settings}`,
    );
  }
}

/** Until when `createFailureDays` has made room. */
export function endOfDayAfter(nowMs: number): number {
  return dayOf(nowMs) + 2 * dayMs;
}

/**
 * What the judge needs back: failures that counted, dated at or after `sinceMs`. Arrival is never before the date. Call it
 * in a transaction; the rows are read in parts, and what is given back makes each failure only when it is asked for.
 */
export async function rememberedFailures(sql: Sql, sinceMs: number): Promise<Iterable<RememberedFailure>> {
  const packed = new PackedFailures();
  await sql.rows(
    `declare remembered no scroll cursor for
       select weight, at_ms as "atMs", tenant, host, jail, network(address) as net, count from failures
       where received_ms >= $1 and at_ms >= $1 and weight in ('fleet', 'tenant')`,
    [sinceMs],
  );
  for (;;) {
    const rows = await sql.rows<RememberedFailure>(`fetch ${fetchRows} from remembered`);
    for (const row of rows) packed.push(row);
    if (rows.length < fetchRows) break;
  }
  await sql.rows("close remembered");
  return packed;
}

/** The same of one net. */
export async function rememberedFailuresOf(sql: Sql, net: string, sinceMs: number): Promise<RememberedFailure[]> {
  return sql.rows<RememberedFailure>(
    `select weight, at_ms as "atMs", tenant, host, jail, network(address) as net, count from failures
     where ${withinKeys(2)} and received_ms >= $1 and at_ms >= $1 and weight in ('fleet', 'tenant')
     order by at_ms desc limit ${failuresOfNetMax}`,
    [sinceMs, ...keyValues(net)],
  );
}
/** More than any window of any policy holds. */
const failuresOfNetMax = 10_000;

export type EvidenceRow = Readonly<{
  tenant: string;
  host: string;
  jail: string;
  failures: number;
  firstMs: number;
  lastMs: number;
}>;
/** Groups shown to a person; an address that attacks a whole fleet has thousands. */
const evidenceRowsMax = 500;

/** Who saw `net` do what, the latest first. `tenant` null = all. */
export async function evidenceAbout(sql: Sql, net: string, tenant: string | null): Promise<EvidenceRow[]> {
  return sql.rows<EvidenceRow>(
    `select tenant, host, jail, sum(count)::bigint as failures, min(at_ms) as "firstMs", max(at_ms) as "lastMs"
     from failures where ${withinKeys(3)} and ($1::text is null or tenant = $1)
     group by tenant, host, jail order by "lastMs" desc limit $2`,
    [tenant, evidenceRowsMax, ...keyValues(net)],
  );
}

export type FailureView = Readonly<{
  atMs: number;
  tenant: string;
  host: string;
  jail: string;
  address: string;
  count: number;
  weight: Weight;
  sample: string | null;
}>;

/** The failures that arrived last, the newest first, of the last hour. */
export async function recentFailures(
  sql: Sql,
  tenant: string | null,
  limit: number,
  nowMs: number,
): Promise<FailureView[]> {
  return sql.rows<FailureView>(
    `select at_ms as "atMs", tenant, host, jail, host(address) as address, count, weight, sample from failures
     where received_ms > $3 and ($1::text is null or tenant = $1) order by received_ms desc limit $2`,
    [tenant, limit, nowMs - 3_600_000],
  );
}

/** Lines counted in failures that arrived after `sinceMs`. */
export async function countFailures(sql: Sql, tenant: string | null, sinceMs: number): Promise<number> {
  const rows = await sql.rows<{ sum: number }>(
    `select coalesce(sum(count), 0)::bigint as sum from failures
     where received_ms > $2 and ($1::text is null or tenant = $1)`,
    [tenant, sinceMs],
  );
  return only(rows).sum;
}
