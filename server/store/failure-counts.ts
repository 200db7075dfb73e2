import { formatNet, type Net, widen } from "../../shared/address.ts";
import { dayMs, hourMs, minuteMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { keyValues, withinKeys } from "./address-key.ts";
import { dayOf, daysOf, dayTable, dropDays } from "./day-tables.ts";
import type { Store } from "./open-store.ts";
import { only, type Sql } from "./sql.ts";

/** Other coordinators' clocks may still be in a day that is over by ours. */
const settleMs = 10 * minuteMs;
/** A day of more failures than anybody has seen is given up by then; it is counted within minutes. */
const countingMs = hourMs;
/** To sort a day's subjects in memory as far as they fit; beyond that the database uses its disk. */
const sortMemory = "64MB";
/** Any number that nobody else in the database uses. */
const countingLock = 7_312_004_224;
/** How often which subject was seen where is kept, and shown, for so many days. */
export const countedDays = 30;
/** IPv6 is counted by /64: what one customer has. */
const subjectPrefix = 64;

/**
 * Counts the days that are over and not counted yet, oldest first, and not those before `sinceMs`: they would be forgotten
 * at once. Each day is counted in one transaction, from rows that no longer change, and nobody waits for it.
 *
 * @returns how many days
 */
export async function countFailureDays(
  store: Pick<Store, "rows" | "db" | "copyIn" | "transaction">,
  nowMs: number,
  sinceMs: number,
): Promise<number> {
  const counted = new Set(await daysOf(store, "failure_counts"));
  const days = (await daysOf(store, "failures")).filter(
    (startMs) => !counted.has(startMs) && startMs + dayMs + settleMs <= nowMs && startMs + dayMs > sinceMs,
  );
  for (const startMs of days) await store.transaction((sql) => countDay(sql, startMs));
  return days.length;
}

async function countDay(sql: Sql, startMs: number): Promise<void> {
  const table = dayTable("failure_counts", startMs);
  await sql.rows(`set local statement_timeout = ${countingMs}`);
  await sql.rows(`set local work_mem = '${sortMemory}'`);
  await sql.rows("select pg_advisory_xact_lock($1)", [countingLock]);
  // Attached when it is complete: whoever reads the other days waits for nothing.
  await sql.rows(`create table ${table} (like failure_counts including all)`);
  await sql.rows(
    `insert into ${table} (day_ms, subject, tenant, host, jail, failures)
     select $1, network(set_masklen(address, case family(address) when 4 then 32 else ${subjectPrefix} end)) as subject,
       tenant, host, jail, sum(count)
     from ${dayTable("failures", startMs)} group by subject, tenant, host, jail`,
    [startMs],
  );
  await sql.rows(
    `insert into failure_days (day_ms, tenant, jail, failures)
     select day_ms, tenant, jail, sum(failures) from ${table} group by day_ms, tenant, jail`,
  );
  await sql.rows(`analyze ${table}`);
  await sql.rows(
    `alter table failure_counts attach partition ${table} for values from (${startMs}) to (${startMs + dayMs})`,
  );
}

/**
 * Keeps days from being counted until the transaction ends: what it erases is not counted from an older view.
 *
 * @throws Fleet2banError `unavailable` while one is being counted
 */
export async function holdCounting(sql: Sql): Promise<void> {
  const rows = await sql.rows<{ held: boolean }>("select pg_try_advisory_xact_lock($1) as held", [countingLock]);
  if (only(rows).held) return;
  throw new Fleet2banError("unavailable", "the failures of the last day are being counted; try again in some minutes");
}

/** Forgets counted days that ended before `beforeMs`. @returns how many */
export async function pruneFailureCounts(sql: Sql, beforeMs: number): Promise<number> {
  await sql.rows("delete from failure_days where day_ms + $2::bigint <= $1", [beforeMs, dayMs]);
  return await dropDays(sql, "failure_counts", beforeMs);
}

/** What hosts saw of a net. `dayMs`: when that day began, in UTC. */
export type Seen = Readonly<{ failures: number; hosts: number; perDay: readonly SeenDay[] }>;
export type SeenDay = Readonly<{ dayMs: number; failures: number; hosts: number }>;

/**
 * What was seen of a net (of an IPv6 address: of its /64) on the day of `sinceMs` and after, up to now: from the counts,
 * and from the failures themselves for the days that are not counted yet. `tenant` null = all.
 */
export async function seenSince(sql: Sql, net: Net, tenant: string | null, sinceMs: number): Promise<Seen> {
  const subject = formatNet(net.family === 6 ? widen(net, Math.min(net.prefix, subjectPrefix)) : net);
  const rows = await sql.rows<{ dayMs: number | null; failures: number; hosts: number }>(
    `with counted as (select coalesce(max(day_ms) + ${dayMs}, 0) as until_ms from failure_days), seen as (
       select day_ms, tenant, host, failures from failure_counts where subject <<= $5::inet and day_ms >= $2
       union all
       select received_ms / ${dayMs} * ${dayMs}, tenant, host, count from failures
         where ${withinKeys(3)} and received_ms >= $2 and received_ms >= (select until_ms from counted))
     select day_ms as "dayMs", sum(failures)::bigint as failures, count(distinct (tenant, host)) as hosts from seen
     where $1::text is null or tenant = $1 group by grouping sets ((day_ms), ()) order by day_ms`,
    [tenant, dayOf(sinceMs), ...keyValues(subject)],
  );
  const perDay = rows.flatMap(({ dayMs: day, ...seen }) => (day === null ? [] : [{ dayMs: day, ...seen }]));
  const total = rows.find((row) => row.dayMs === null);
  return { failures: total?.failures ?? 0, hosts: total?.hosts ?? 0, perDay };
}

export type AttackDay = Readonly<{ atMs: number; jail: string; count: number }>;

/** Hostile lines per counted day and jail, oldest first: today's are not in it. */
export async function attacksPerDay(sql: Sql, tenant: string | null, sinceMs: number): Promise<AttackDay[]> {
  return sql.rows<AttackDay>(
    `select day_ms as "atMs", jail, sum(failures)::bigint as count from failure_days
     where day_ms >= $2 and ($1::text is null or tenant = $1) group by day_ms, jail order by day_ms, jail`,
    [tenant, dayOf(sinceMs)],
  );
}
