import { asc, eq } from "drizzle-orm";
import { Fleet2banError } from "../../shared/errors.ts";
import { type FeedMode, type FeedReport, feeds } from "./schema-feeds.ts";
import { isUniqueViolation, type Sql } from "./sql.ts";

export type { FeedMode, FeedReport } from "./schema-feeds.ts";
export type FeedRow = typeof feeds.$inferSelect;
export type NewFeed = Pick<
  FeedRow,
  "name" | "source" | "mode" | "everyMs" | "ttlMs" | "entriesMax" | "note" | "createdMs" | "createdBy"
>;
/** What is not named stays as it is. */
export type FeedChange = Readonly<{
  source?: string | undefined;
  mode?: FeedMode | undefined;
  everyMs?: number | undefined;
  ttlMs?: number | undefined;
  entriesMax?: number | undefined;
  note?: string | undefined;
}>;

/** All, those that are being removed included. */
export async function listFeeds(sql: Sql): Promise<FeedRow[]> {
  return sql.db.select().from(feeds).orderBy(asc(feeds.name));
}

export async function findFeed(sql: Sql, name: string): Promise<FeedRow | undefined> {
  const [row] = await sql.db.select().from(feeds).where(eq(feeds.name, name));
  return row;
}

/** @throws Fleet2banError `conflict` when there is one of this name */
export async function insertFeed(sql: Sql, feed: NewFeed): Promise<FeedRow> {
  try {
    const [row] = await sql.db
      .insert(feeds)
      .values({ ...feed, dueMs: feed.createdMs })
      .returning();
    if (row !== undefined) return row;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new Fleet2banError(
      "conflict",
      `there is a feed ${feed.name} already; choose another name, or remove it first`,
      {
        cause: error,
      },
    );
  }
  throw new Fleet2banError("internal", `feed ${feed.name}: not inserted`);
}

/** Another source is fetched at once, and as if there had been no list before: nothing of the old one may be enforced. */
export async function updateFeed(sql: Sql, name: string, change: FeedChange, nowMs: number): Promise<void> {
  const { source, mode, everyMs, ttlMs, entriesMax, note } = change;
  const values = [name, source ?? null, mode ?? null, everyMs ?? null, ttlMs ?? null, entriesMax ?? null, note ?? null];
  await sql.rows(
    `update feeds set mode = coalesce($3, mode), every_ms = coalesce($4, every_ms), ttl_ms = coalesce($5, ttl_ms),
       entries_max = coalesce($6, entries_max), note = coalesce($7, note), source = coalesce($2, source),
       due_ms = case when $2 is not null or $3 is not null then $8 else least(due_ms, $8 + coalesce($4, every_ms)) end,
       etag = case when $2 is null then etag end, modified = case when $2 is null then modified end,
       report = case when $2 is null then report end, good_ms = case when $2 is null then good_ms end, pending = pending + 1
     where name = $1`,
    [...values, nowMs],
  );
  if (source !== undefined) await sql.rows("delete from feed_entries where feed = $1", [name]);
}

/** From now on it is only there until what it banned is lifted. */
export async function markRemoved(sql: Sql, name: string, nowMs: number): Promise<void> {
  await sql.rows("update feeds set removed_ms = $2, pending = pending + 1 where name = $1", [name, nowMs]);
}

export async function deleteFeed(sql: Sql, name: string): Promise<void> {
  await sql.rows("delete from feeds where name = $1 and removed_ms is not null", [name]);
}

/** Names of those that are due. */
export async function dueFeeds(sql: Sql, nowMs: number): Promise<string[]> {
  const rows = await sql.rows<{ name: string }>(
    `select name from feeds where removed_ms is null and mode <> 'off' and due_ms <= $1 order by due_ms, name`,
    [nowMs],
  );
  return rows.map((row) => row.name);
}

/**
 * Takes the next download of a feed upon oneself, so that of several coordinators only one does it; one that then dies
 * is followed by another after `retryMs`.
 *
 * @param isDue  only if it is; otherwise at any time
 */
export async function claimFeed(
  sql: Sql,
  name: string,
  { nowMs, retryMs, isDue }: Readonly<{ nowMs: number; retryMs: number; isDue: boolean }>,
): Promise<FeedRow | undefined> {
  const claimed = await sql.rows(
    `update feeds set tried_ms = $2, due_ms = $2 + least(every_ms, $3)
     where name = $1 and removed_ms is null and mode <> 'off' and (not $4 or due_ms <= $2) returning name`,
    [name, nowMs, retryMs, isDue],
  );
  return claimed.length === 0 ? undefined : await findFeed(sql, name);
}

/** The last good list is kept, and the next try stays as it was claimed. */
export async function noteProblem(
  sql: Sql,
  name: string,
  problem: Readonly<{ why: string; sentence: string }>,
): Promise<void> {
  await sql.rows("update feeds set why = $2, problem = $3 where name = $1", [name, problem.why, problem.sentence]);
}

export type GoodList = Readonly<{
  nowMs: number;
  etag: string | null;
  modified: string | null;
  /** Null when the publisher said that nothing has changed. */
  report: FeedReport | null;
  isChanged: boolean;
}>;

export async function noteGood(sql: Sql, name: string, good: GoodList): Promise<void> {
  const { nowMs, etag, modified, report, isChanged } = good;
  await sql.rows(
    `update feeds set good_ms = $2, due_ms = $2 + every_ms, why = null, problem = null, etag = $3, modified = $4,
       report = coalesce($5, report), changed_ms = case when $6 then $2 else changed_ms end, pending = pending + 1
     where name = $1`,
    [name, nowMs, etag, modified, report === null ? null : JSON.stringify(report), isChanged],
  );
}

/** Those whose bans may not be what they should be: a change, a removal, or a list that is too old by now. */
export async function unsettledFeeds(sql: Sql, nowMs: number): Promise<string[]> {
  const rows = await sql.rows<{ name: string }>(
    `select name from feeds where pending > 0 or removed_ms is not null
       or (mode = 'enforce' and good_ms + ttl_ms <= $1
         and exists (select from bans where ended_ms is null and level is null and reason = 'feed ' || name))
     order by name`,
    [nowMs],
  );
  return rows.map((row) => row.name);
}

/** @param seen  as it was before the work: what was changed since is still to be done */
export async function noteSettled(sql: Sql, name: string, seen: number): Promise<void> {
  await sql.rows("update feeds set pending = 0 where name = $1 and pending = $2", [name, seen]);
}

/** Whether its entries are to be banned now. */
export function isInForce({ mode, goodMs, ttlMs, removedMs }: FeedRow, nowMs: number): boolean {
  return mode === ("enforce" satisfies FeedMode) && removedMs === null && goodMs !== null && nowMs < goodMs + ttlMs;
}
