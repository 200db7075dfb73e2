import type { Scope, UnbanReason } from "../../shared/order.ts";
import { coveringNets } from "./covering-nets.ts";
import type { Sql } from "./sql.ts";

/** A ban that a host's own jail made. */
export type LocalBanRow = Readonly<{
  host: string;
  tenant: string;
  jail: string;
  net: string;
  startedMs: number;
  untilMs: number | null;
}>;

/** What one host may have on record; a hostile one could report for ever. The newest are kept. */
export const localBansMaxPerHost = 20_000;

const columns = `host, tenant, jail, net, started_ms as "startedMs", until_ms as "untilMs"`;
/** $2 is the clock: a ban ends by its own time, without any word from the host. */
const standing = "ended_ms is null and (until_ms is null or until_ms > $2)";

/** Records bans as reported; the same host, jail and net again is the ban renewed. */
export async function upsertLocalBans(sql: Sql, bans: readonly LocalBanRow[]): Promise<void> {
  if (bans.length === 0) return;
  await sql.rows(
    `insert into local_bans (host, tenant, jail, net, started_ms, until_ms)
     select distinct on (host, net, jail) host, tenant, jail, net, "startedMs", "untilMs" from json_to_recordset($1)
       as row(host text, tenant text, jail text, net cidr, "startedMs" bigint, "untilMs" bigint)
     order by host, net, jail, "startedMs" desc
     on conflict (host, net, jail) do update set started_ms = excluded.started_ms, until_ms = excluded.until_ms,
       tenant = excluded.tenant, ended_ms = null, end_reason = null
     where local_bans.started_ms < excluded.started_ms`,
    [JSON.stringify(bans)],
    "upsert-local-bans",
  );
  const hosts = [...new Set(bans.map((ban) => ban.host))];
  await sql.rows(
    `delete from local_bans using unnest($1::text[]) as reporter,
       lateral (select started_ms from local_bans where host = reporter order by started_ms desc offset $2 limit 1) as oldest
     where local_bans.host = reporter and local_bans.started_ms <= oldest.started_ms`,
    [hosts, localBansMaxPerHost],
    "bound-local-bans",
  );
}

/** Standing local bans that cover or lie inside `net`. `tenant` null = all. */
export async function localBansAbout(
  sql: Sql,
  net: string,
  nowMs: number,
  tenant: string | null,
  limit: number,
): Promise<LocalBanRow[]> {
  return sql.rows<LocalBanRow>(
    `select ${columns} from local_bans where (net <<= $1::inet or net = any($5::cidr[]))
       and ${standing} and ($3::text is null or tenant = $3) order by started_ms desc limit $4`,
    [net, nowMs, tenant, limit, coveringNets(net)],
  );
}

/** Hosts with a standing ban of their own inside `net`. */
export async function hostsBanning(sql: Sql, net: string, nowMs: number, tenant: string | null): Promise<string[]> {
  const rows = await sql.rows<{ host: string }>(
    `select distinct host from local_bans
     where net <<= $1::inet and ${standing} and ($3::text is null or tenant = $3) order by host`,
    [net, nowMs, tenant],
  );
  return rows.map((row) => row.host);
}

/** An unban order of `scope` ends the hosts' own bans inside `net` too. */
export async function endLocalBans(
  sql: Sql,
  scope: Scope,
  net: string,
  reason: UnbanReason,
  nowMs: number,
): Promise<void> {
  const [kind, name] = scope.split(":");
  const hosts = kind === "fleet" ? "true" : kind === "tenant" ? "tenant = $4" : "host = $4";
  const values = [net, nowMs, reason, ...(name === undefined ? [] : [name])];
  await sql.rows(
    `update local_bans set ended_ms = $2, end_reason = $3 where net <<= $1::inet and ${standing} and ${hosts}`,
    values,
  );
}

export async function pruneLocalBans(sql: Sql, beforeMs: number): Promise<number> {
  const rows = await sql.rows("delete from local_bans where coalesce(ended_ms, until_ms) < $1 returning host", [
    beforeMs,
  ]);
  return rows.length;
}
