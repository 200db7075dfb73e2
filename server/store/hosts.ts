import { and, asc, eq, gt, ilike, ne, or, sql as text } from "drizzle-orm";
import { secondMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { BlockedCounts } from "../../shared/firewall-lists.ts";
import type { Scope } from "../../shared/order.ts";
import { tokenPattern } from "../../shared/subjects.ts";
import { type HostState, hosts } from "./schema-fleet.ts";
import { isUniqueViolation, only, type Sql } from "./sql.ts";

export type { HostState } from "./schema-fleet.ts";
export type HostRecord = typeof hosts.$inferSelect;

export type NewHost = Readonly<{ host: string; tenant: string; publicKey: string; nowMs: number }>;

/**
 * Enrols a host. The same host with the same key again changes nothing, so a repeated enrolment is harmless.
 *
 * @throws Fleet2banError `conflict` when the name or the key belongs to another
 */
export async function insertHost(sql: Sql, { host, tenant, publicKey, nowMs }: NewHost): Promise<HostRecord> {
  if (!tokenPattern.test(host)) {
    throw new Fleet2banError(
      "invalid",
      `host: "${host}" must be 1 to 48 of a-z, 0-9 and -, not starting or ending with -`,
    );
  }
  const taken = `host: "${host}" or its key is enrolled already; revoke it first, or choose another name`;
  const known = await findHost(sql, host);
  if (known !== undefined) {
    if (known.publicKey === publicKey && known.tenant === tenant && known.state !== "revoked") return known;
    throw new Fleet2banError("conflict", taken);
  }
  try {
    const [row] = await sql.db.insert(hosts).values({ host, tenant, publicKey, enrolledMs: nowMs }).returning();
    if (row !== undefined) return row;
  } catch (cause) {
    if (!isUniqueViolation(cause)) throw cause;
    throw new Fleet2banError("conflict", taken, { cause });
  }
  throw new Fleet2banError("internal", "host: not inserted");
}

export async function findHost(sql: Sql, host: string): Promise<HostRecord | undefined> {
  const [row] = await sql.db.select().from(hosts).where(eq(hosts.host, host));
  return row;
}

export async function findHostByKey(sql: Sql, publicKey: string): Promise<HostRecord | undefined> {
  const [row] = await sql.db.select().from(hosts).where(eq(hosts.publicKey, publicKey));
  return row;
}

/** In the order of names, those after `after`. `tenant` null = all. */
export async function listHosts(
  sql: Sql,
  tenant: string | null,
  after: string | null,
  limit: number,
): Promise<HostRecord[]> {
  return sql.db
    .select()
    .from(hosts)
    .where(
      and(tenant === null ? undefined : eq(hosts.tenant, tenant), after === null ? undefined : gt(hosts.host, after)),
    )
    .orderBy(asc(hosts.host))
    .limit(limit);
}

export type HostFilter = Readonly<{
  tenant?: string | undefined;
  state?: HostState | undefined;
  /** Part of the name or the label. */
  search?: string | undefined;
  /** Only hosts that need a look: see `troubled`. */
  troubled?: Readonly<{ seenSinceMs: number; orderEpoch: number; fleetRevision: number }> | undefined;
  /** Names after this one. */
  after?: string | undefined;
}>;

/** In the order of names. */
export async function listHostsBy(sql: Sql, filter: HostFilter, limit: number): Promise<HostRecord[]> {
  const { tenant, state, search, troubled, after } = filter;
  const words = search === undefined ? undefined : `%${search.replaceAll(/[\\%_]/g, "\\$&")}%`;
  return sql.db
    .select()
    .from(hosts)
    .where(
      and(
        tenant === undefined ? undefined : eq(hosts.tenant, tenant),
        state === undefined ? undefined : eq(hosts.state, state),
        words === undefined ? undefined : or(ilike(hosts.host, words), ilike(hosts.label, words)),
        troubled === undefined ? undefined : isTroubled(troubled),
        after === undefined ? undefined : gt(hosts.host, after),
      ),
    )
    .orderBy(asc(hosts.host))
    .limit(limit);
}

function isTroubled({ seenSinceMs, orderEpoch, fleetRevision }: NonNullable<HostFilter["troubled"]>) {
  return and(
    ne(hosts.state, "revoked"),
    or(
      eq(hosts.state, "quarantined"),
      text`coalesce(${hosts.lastSeenMs}, 0) < ${seenSinceMs}`,
      text`(${hosts.enforcing} = false and not ${hosts.observe})`,
      text`coalesce(${hosts.orderEpoch}, 0) <> ${orderEpoch}`,
      text`coalesce(${hosts.fleetRevision}, 0) < ${fleetRevision}`,
      text`${hosts.problems} <> '[]'::jsonb`,
    ),
  );
}

export async function setHostState(
  sql: Sql,
  host: string,
  change: Readonly<{
    observe?: boolean | undefined;
    contribute?: boolean | undefined;
    label?: string | null | undefined;
    state?: "revoked" | undefined;
  }>,
): Promise<HostRecord> {
  const [row] = await sql.db.update(hosts).set(change).where(eq(hosts.host, host)).returning();
  if (row === undefined) throw new Fleet2banError("not_found", `there is no host ${host}`);
  return row;
}

/** What it has applied of the old tenant's orders says nothing about the new one's. */
export async function setHostTenant(sql: Sql, host: string, tenant: string, nowMs: number): Promise<void> {
  // Credentials are dated in whole seconds: those of a move a moment ago are from before this one, and must be dated so.
  const movedMs = text<number>`greatest(${nowMs}::bigint,
    greatest(${hosts.movedMs}, ${hosts.credentialsSinceMs}) + ${secondMs}::bigint)`;
  await sql.db.update(hosts).set({ tenant, tenantRevision: null, movedMs }).where(eq(hosts.host, host));
  await sql.rows("update local_bans set tenant = $2 where host = $1", [host, tenant]);
}

/** Its credentials from up to then end; a later move waits for its own turn. */
export async function endMove(sql: Sql, host: string, movedMs: number): Promise<void> {
  await sql.rows(
    `update hosts set credentials_since_ms = greatest(credentials_since_ms, $2::bigint),
       moved_ms = case when moved_ms > $2 then moved_ms end where host = $1`,
    [host, movedMs],
  );
}

/** What people may change of a host; the state an edit is made upon. */
export function hostState({ tenant, state, observe, contribute, label }: HostRecord) {
  return { tenant, state, observe, contribute, label };
}

/** What an agent says of itself. */
export type HostReport = Readonly<{
  host: string;
  atMs: number;
  version?: string;
  firewall?: string;
  enforcing?: boolean;
  clockSkewMs?: number;
  orderEpoch?: number;
  fleetRevision?: number;
  tenantRevision?: number;
  hostRevision?: number;
  setHash?: string;
  problems?: readonly string[];
  blocked?: BlockedCounts;
}>;

/** Writes what many agents reported, in one statement; fields a report leaves out keep their value. */
export async function recordReports(sql: Sql, reports: readonly HostReport[]): Promise<void> {
  if (reports.length === 0) return;
  // The last report of a host wins: one statement must not touch a row twice.
  const newest = new Map(reports.map((report) => [report.host, report]));
  await sql.rows(
    `update hosts set last_seen_ms = greatest(last_seen_ms, row."atMs"), version = coalesce(row.version, hosts.version),
       firewall = coalesce(row.firewall, hosts.firewall), enforcing = coalesce(row.enforcing, hosts.enforcing),
       clock_skew_ms = coalesce(row."clockSkewMs", clock_skew_ms), order_epoch = coalesce(row."orderEpoch", order_epoch),
       fleet_revision = coalesce(row."fleetRevision", fleet_revision),
       tenant_revision = coalesce(row."tenantRevision", tenant_revision),
       host_revision = coalesce(row."hostRevision", host_revision),
       set_hash = coalesce(row."setHash", set_hash), problems = coalesce(row.problems, hosts.problems),
       blocked = coalesce(row.blocked, hosts.blocked)
     from json_to_recordset($1) as row(host text, "atMs" bigint, version text, firewall text, enforcing boolean,
       "clockSkewMs" integer, "orderEpoch" bigint, "fleetRevision" bigint, "tenantRevision" bigint, "hostRevision" bigint,
       "setHash" text, problems jsonb, blocked jsonb)
     where hosts.host = row.host`,
    [JSON.stringify([...newest.values()])],
    "record-reports",
  );
}

/** Hosts of a scope that say they have applied its orders up to `revision`, and those that have not (yet). */
export type Receipt = Readonly<{
  applied: number;
  /** Of those, the ones whose firewall stops what it is told: they neither observe nor lack a firewall. */
  enforced: number;
  total: number;
  waiting: readonly string[];
}>;

/** A place in a scope's order log. */
export type OrderPlace = Readonly<{ scope: Scope; revision: number }>;
/** Names of waiting hosts shown to a person. */
const waitingMax = 100;

/**
 * How many of the hosts that these places concern have come so far, in every one of them. A host in observe mode applies
 * orders without enforcing them and counts as told; a revoked one is no longer ours.
 */
export async function receiptOf(
  sql: Sql,
  places: readonly OrderPlace[],
  orderEpoch: number,
  tenant: string | null,
): Promise<Receipt> {
  const rows = await sql.rows<Receipt>(
    `select count(*) filter (where done) as applied, count(*) filter (where done and enforces) as enforced, count(*) as total,
       coalesce((array_agg(host order by host) filter (where not done))[1:${waitingMax}], '{}') as waiting
     from (select host, not observe and enforcing is not false as enforces,
         bool_and(coalesce(order_epoch = $3 and case when scope = 'fleet' then fleet_revision
           when scope like 'tenant:%' then tenant_revision else host_revision end >= revision, false)) as done
       from hosts join unnest($1::text[], $2::bigint[]) as place (scope, revision)
         on scope in ('fleet', 'tenant:' || tenant, 'host:' || host)
       where state <> 'revoked' and ($4::text is null or tenant = $4) group by host) as each`,
    [places.map(({ scope }) => scope), places.map(({ revision }) => revision), orderEpoch, tenant],
  );
  return only(rows);
}

/** What the firewalls of all hosts have stopped since each one's agent started, list by list. */
export async function sumBlocked(sql: Sql, tenant: string | null): Promise<BlockedCounts> {
  // Agents write these numbers: sums of invented ones must not overflow.
  const sum = (name: string) =>
    `least(sum((each->>'${name}')::numeric), ${Number.MAX_SAFE_INTEGER})::bigint as ${name}`;
  return await sql.rows<BlockedCounts[number]>(
    `select each->>'list' as list, ${sum("packets")}, ${sum("bytes")}
     from hosts, jsonb_array_elements(blocked) as each
     where state <> 'revoked' and ($1::text is null or tenant = $1) group by 1 order by 1`,
    [tenant],
    "sum-blocked",
  );
}

export type HostCounts = Readonly<{ total: number; connected: number; lagging: number; notEnforcing: number }>;

/** @param seenSinceMs  a host heard of since then counts as connected */
export async function countHosts(
  sql: Sql,
  tenant: string | null,
  seenSinceMs: number,
  fleetRevision: number,
): Promise<HostCounts> {
  const rows = await sql.rows<HostCounts>(
    `select count(*) as total, count(*) filter (where last_seen_ms >= $2) as connected,
       count(*) filter (where last_seen_ms >= $2 and coalesce(fleet_revision, 0) < $3) as lagging,
       count(*) filter (where enforcing = false and not observe) as "notEnforcing"
     from hosts where state <> 'revoked' and ($1::text is null or tenant = $1)`,
    [tenant, seenSinceMs, fleetRevision],
  );
  return rows[0] ?? { total: 0, connected: 0, lagging: 0, notEnforcing: 0 };
}
