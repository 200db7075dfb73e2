import { only, type Sql } from "./sql.ts";

/** How far a clock is ahead of the database's (less than 0: behind), as far as the time of the question lets us say. */
export async function aheadOfDatabase(sql: Sql, now: () => number): Promise<number> {
  const askedMs = now();
  const rows = await sql.rows<{ atMs: number }>(
    `select (extract(epoch from clock_timestamp()) * 1000)::bigint as "atMs"`,
  );
  const { atMs } = only(rows);
  return Math.max(askedMs - atMs, 0) + Math.min(now() - atMs, 0);
}
