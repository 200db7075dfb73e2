import { dayMs } from "../../shared/durations.ts";
import type { Sql } from "./sql.ts";

/** Tables that have a table of their own for each day, so that forgetting a day costs nothing. */
export type DayTable = "failures" | "failure_counts";

/** The day of a moment, by its first millisecond in UTC. */
export function dayOf(atMs: number): number {
  return Math.floor(atMs / dayMs) * dayMs;
}

/** Where `table` keeps the day that starts then. Names hold the date with the year first, so their order is that of the days. */
export function dayTable(table: DayTable, startMs: number): string {
  return `${table}_${new Date(startMs).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

/** The days there are, oldest first, each by its first millisecond. */
export async function daysOf(sql: Sql, table: DayTable): Promise<number[]> {
  const rows = await sql.rows<{ name: string }>(
    "select relid::text as name from pg_partition_tree($1::text::regclass) where parentrelid is not null order by 1",
    [table],
  );
  return rows.flatMap(({ name }) => {
    const [, year, month, day] = /_(\d{4})(\d{2})(\d{2})$/.exec(name) ?? [];
    return year === undefined ? [] : [Date.UTC(Number(year), Number(month) - 1, Number(day))];
  });
}

/** Forgets whole days that ended before `beforeMs`. @returns how many */
export async function dropDays(sql: Sql, table: DayTable, beforeMs: number): Promise<number> {
  const old = (await daysOf(sql, table)).filter((startMs) => startMs + dayMs <= beforeMs);
  for (const startMs of old) await sql.rows(`drop table ${dayTable(table, startMs)}`);
  return old.length;
}
