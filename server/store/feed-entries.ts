import type { UnbanDecision } from "../domain/judge.ts";
import type { Author } from "./bans.ts";
import { only, type Sql } from "./sql.ts";

/** Makes these the entries of a feed. @returns how many came and went */
export async function replaceEntries(
  sql: Sql,
  feed: string,
  nets: readonly string[],
  nowMs: number,
): Promise<Readonly<{ added: number; removed: number }>> {
  const listed = JSON.stringify(nets);
  const gone = await sql.rows<{ count: number }>(
    `with gone as (
       delete from feed_entries where feed = $1 and not exists (
         select from json_array_elements_text($2) as listed (value) where value::cidr = net) returning 1)
     select count(*) as count from gone`,
    [feed, listed],
  );
  const come = await sql.rows<{ count: number }>(
    `with come as (
       insert into feed_entries (feed, net, since_ms)
       select $1, value::cidr, $3 from json_array_elements_text($2) as listed (value)
       on conflict do nothing returning 1)
     select count(*) as count from come`,
    [feed, listed, nowMs],
  );
  return { added: only(come).count, removed: only(gone).count };
}

/** That of this feed's bans, as SQL: found in an index of what has no level. */
const bansOfFeed = "bans.ended_ms is null and bans.level is null and bans.reason = 'feed ' || $1";
/** An entry that shares an address with something people lifted. */
const isExcepted = "exists (select from feed_exceptions as lifted where lifted.feed = $1 and lifted.net && entry.net)";

/** Entries after `after` that are to be banned, and are not or not for long enough. */
export async function entriesToBan(
  sql: Sql,
  feed: string,
  { after, untilMs, limit }: Readonly<{ after: string | null; untilMs: number; limit: number }>,
): Promise<string[]> {
  const rows = await sql.rows<{ net: string }>(
    `select net from feed_entries as entry where feed = $1 and ($2::cidr is null or net > $2) and not ${isExcepted}
       and not exists (select from bans where ${bansOfFeed} and bans.net = entry.net and bans.until_ms > $3)
     order by net limit $4`,
    [feed, after, untilMs, limit],
  );
  return rows.map((row) => row.net);
}

/** @param isInForce  false: all of them are to be lifted */
export async function bansToLift(
  sql: Sql,
  feed: string,
  { after, isInForce, limit }: Readonly<{ after: number; isInForce: boolean; limit: number }>,
): Promise<Readonly<{ id: number; net: string }>[]> {
  const listed = `exists (select from feed_entries as entry where entry.feed = $1 and entry.net = bans.net and not ${isExcepted})`;
  return sql.rows<{ id: number; net: string }>(
    `select id, net from bans where ${bansOfFeed} and id > $2 and not ($3 and ${listed}) order by id limit $4`,
    [feed, after, isInForce, limit],
  );
}

/** What people lift of a feed stays lifted. */
export async function exceptFromFeeds(
  sql: Sql,
  unbans: readonly UnbanDecision[],
  author: Author | null,
  nowMs: number,
): Promise<void> {
  // What an allow lifts comes back when the allow goes; what ends by itself comes back with the list.
  const lifted = unbans.filter(({ feed, reason }) => feed !== undefined && /^(?:admin|false-positive)$/.test(reason));
  if (lifted.length === 0) return;
  const rows = lifted.map(({ feed, net }) => ({ feed, net }));
  await sql.rows(
    `insert into feed_exceptions (feed, net, made_ms, made_by, note)
     select row.feed, row.net, $2, $3, $4 from json_to_recordset($1) as row(feed text, net cidr)
       where row.feed in (select name from feeds)
     on conflict do nothing`,
    [JSON.stringify(rows), nowMs, author?.by ?? "fleet2ban", author?.note ?? null],
  );
}

export type FeedException = Readonly<{ net: string; madeMs: number; madeBy: string; note: string | null }>;

/** Newest first. */
export async function listExceptions(sql: Sql, feed: string, limit: number): Promise<FeedException[]> {
  return sql.rows<FeedException>(
    `select net, made_ms as "madeMs", made_by as "madeBy", note from feed_exceptions
     where feed = $1 order by made_ms desc, net limit $2`,
    [feed, limit],
  );
}

/** @returns whether there was one of exactly this net */
export async function deleteException(sql: Sql, feed: string, net: string): Promise<boolean> {
  const rows = await sql.rows("delete from feed_exceptions where feed = $1 and net = $2::cidr returning 1", [
    feed,
    net,
  ]);
  if (rows.length > 0) await sql.rows("update feeds set pending = pending + 1 where name = $1", [feed]);
  return rows.length > 0;
}

export type FeedFigures = Readonly<{ feed: string; entries: number; banned: number; exceptions: number }>;

export async function feedFigures(sql: Sql): Promise<FeedFigures[]> {
  return sql.rows<FeedFigures>(
    `select name as feed, (select count(*) from feed_entries where feed = name) as entries,
       (select count(*) from feed_exceptions where feed = name) as exceptions,
       (select count(*) from bans where ended_ms is null and level is null and reason = 'feed ' || name) as banned
     from feeds`,
  );
}

/** What feeds say about a net: entries that cover it or lie in it. */
export type FeedMention = Readonly<{
  feed: string;
  mode: string;
  net: string;
  sinceMs: number;
  goodMs: number | null;
  exceptedMs: number | null;
  exceptedBy: string | null;
}>;

export async function feedsAbout(
  sql: Sql,
  covering: readonly string[],
  net: string,
  limit: number,
): Promise<FeedMention[]> {
  return sql.rows<FeedMention>(
    `select name as feed, mode, entry.net, entry.since_ms as "sinceMs", good_ms as "goodMs",
       lifted.made_ms as "exceptedMs", lifted.made_by as "exceptedBy"
     from feed_entries as entry join feeds on name = feed
       left join lateral (select * from feed_exceptions where feed_exceptions.feed = entry.feed
         and feed_exceptions.net && entry.net order by made_ms desc limit 1) as lifted on true
     where removed_ms is null and (entry.net = any($1::cidr[]) or entry.net <<= $2::inet)
     order by name, entry.net limit $3`,
    [covering, net, limit],
  );
}

/** Forgets that lists name a net; where it is an example of what was left out, all examples of that list go. */
export async function eraseListed(sql: Sql, net: string): Promise<void> {
  await sql.rows("delete from feed_entries where net <<= $1::inet", [net]);
  await sql.rows(
    `update feeds set report = jsonb_set(report, '{examples}', '{}')
     where exists (select from jsonb_path_query(report, '$.examples.*[*]') as example (value)
       where (value #>> '{}')::inet <<= $1::inet)`,
    [net],
  );
}
