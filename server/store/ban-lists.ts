import { type BanView, banColumns } from "./bans.ts";
import type { Sql } from "./sql.ts";
import { Where } from "./where.ts";

export type BanSort = "newest" | "oldest" | "ending";
export type BanFilter = Readonly<{
  active?: boolean | undefined;
  scope?: string | undefined;
  /** The net itself or anything inside it. */
  net?: string | undefined;
  level?: number | undefined;
  minLevel?: number | undefined;
  /** As stored: `jail sshd`, `spread` … */
  reason?: string | undefined;
  /** Not what feeds banned: their lists are not ours to give away. */
  withoutFeeds?: boolean | undefined;
  /** Only what concerns this tenant: its own scope, its hosts and the fleet. */
  tenant?: string | undefined;
  /** Only bans up to this id: no later ones. */
  upTo?: number | undefined;
  sort?: BanSort | undefined;
  /** Only what comes after this one in the order asked for: the next page. */
  after?: BanPlace | undefined;
}>;
/** Where a page ended. `untilMs` matters to the order by end only; null = never. */
export type BanPlace = Readonly<{ id: number; untilMs: number | null }>;

const orders: Readonly<Record<BanSort, string>> = {
  newest: "id desc",
  oldest: "id",
  // Bans for ever end last, as PostgreSQL sorts nulls anyway.
  ending: "until_ms, id",
};

/** The order by end is of standing bans only: the others have ended. */
export async function listBans(sql: Sql, filter: BanFilter, limit: number): Promise<BanView[]> {
  const { sort = "newest" } = filter;
  const where = whereOf(filter);
  return sql.rows<BanView>(
    `select ${banColumns} from bans where ${where.text} order by ${orders[sort]} limit ${where.place(limit)}`,
    where.values,
  );
}

export type BanCount = Readonly<{
  scope: string;
  level: number | null;
  isListed: boolean;
  count: number;
  newest: number;
}>;

/** How many standing bans match, by scope and level, those of feeds (`isListed`) apart. `newest`: the highest id among them. */
export async function countMatching(sql: Sql, filter: BanFilter): Promise<BanCount[]> {
  const where = whereOf({ ...filter, active: true });
  return sql.rows<BanCount>(
    `select scope, level, starts_with(reason, 'feed ') as "isListed", count(*) as count, max(id) as newest
     from bans where ${where.text} group by 1, 2, 3`,
    where.values,
  );
}

function whereOf(filter: BanFilter): Where {
  const { sort = "newest", after } = filter;
  const where = new Where();
  const active = sort === "ending" ? true : filter.active;
  if (active !== undefined) where.also(`ended_ms is ${active ? "" : "not "}null`);
  where.is((place) => `scope = ${place}`, filter.scope);
  where.is((place) => `net <<= ${place}::inet`, filter.net);
  where.is((place) => `level = ${place}`, filter.level);
  where.is((place) => `level >= ${place}`, filter.minLevel);
  where.is((place) => `reason = ${place}`, filter.reason);
  if (filter.withoutFeeds === true) where.also("not starts_with(reason, 'feed ')");
  where.is(scopesOfTenant, filter.tenant);
  where.is((place) => `id <= ${place}`, filter.upTo);
  if (after !== undefined) afterPlace(where, sort, after);
  return where;
}

function afterPlace(where: Where, sort: BanSort, { id, untilMs }: BanPlace): void {
  if (sort === "newest") where.is((place) => `id < ${place}`, id);
  else if (sort === "oldest") where.is((place) => `id > ${place}`, id);
  else if (untilMs === null) where.also(`until_ms is null and id > ${where.place(id)}`);
  else {
    const [until, last] = [where.place(untilMs), where.place(id)];
    where.also(`((until_ms, id) > (${until}, ${last}) or until_ms is null)`);
  }
}

function scopesOfTenant(place: string): string {
  const hostScopes = `select 'host:' || host from hosts where tenant = ${place}`;
  return `(scope = 'fleet' or scope = 'tenant:' || ${place} or scope in (${hostScopes}))`;
}

/** Standing bans by level; key `manual` for those by hand, `feed` for what others' lists named. */
export async function countStanding(
  sql: Sql,
  tenant: string | null,
): Promise<Readonly<{ active: number; byLevel: Readonly<Record<string, number>> }>> {
  const condition = tenant === null ? "" : `and ${scopesOfTenant("$1")}`;
  const rows = await sql.rows<{ level: string; count: number }>(
    `select coalesce(level::text, 'manual') as level, count(*) as count from bans where ended_ms is null ${condition} group by bans.level`,
    tenant === null ? [] : [tenant],
  );
  const active = rows.reduce((sum, row) => sum + row.count, 0);
  const byLevel = Object.fromEntries(rows.map((row) => [row.level, row.count]));
  const feed = await countListed(sql);
  if (feed === 0) return { active, byLevel };
  const { manual = 0, ...levels } = byLevel;
  return { active, byLevel: { ...levels, ...(manual > feed ? { manual: manual - feed } : {}), feed } };
}

/** What feeds have banned; it holds for the whole fleet. Counted in an index of what has no level. */
async function countListed(sql: Sql): Promise<number> {
  const rows = await sql.rows<{ count: number }>(
    `select count(*) as count from bans
     where ended_ms is null and level is null and reason >= 'feed ' and reason < 'feed!'`,
  );
  return rows[0]?.count ?? 0;
}

/** Changes with every order of a scope the tenant (null = everybody) hears: two equal ones mean equal standing bans. */
export async function standingTag(sql: Sql, tenant: string | null): Promise<string> {
  const rows = await sql.rows<{ tag: string }>(
    `select md5(coalesce(string_agg(scope || ' ' || revision, ',' order by scope), '')) as tag from scopes
     where $1::text is null or ${scopesOfTenant("$1::text")}`,
    [tenant],
  );
  return rows[0]?.tag ?? "";
}

export type LiftRate = Readonly<{ bans: number; lifted: number }>;

/**
 * Of the automatic bans that started since: how many people lifted within a day, as they do with mistakes. A week may
 * have a million: they are counted in indexes alone, by their ids, which are given in the order of their starts.
 */
export async function liftRate(sql: Sql, tenant: string | null, sinceMs: number): Promise<LiftRate> {
  const mine =
    tenant === null
      ? ""
      : `and scope = any (array['fleet', 'tenant:' || $2] || array(select 'host:' || host from hosts where tenant = $2))`;
  const rows = await sql.rows<LiftRate>(
    `with first as (select id from bans where started_ms >= $1 order by started_ms, id limit 1)
     select (select count(*) from bans where id >= (select id from first) ${mine})
         - (select count(*) from bans where level is null and id >= (select id from first) ${mine}) as bans,
       (select count(*) from bans where id >= (select id from first) and end_reason <> 'expired'
          and level is not null and ended_ms - started_ms <= 86400000 ${mine}) as lifted`,
    tenant === null ? [sinceMs] : [sinceMs, tenant],
  );
  return rows[0] ?? { bans: 0, lifted: 0 };
}
