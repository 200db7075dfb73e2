import { createHash } from "node:crypto";
import { and, asc, desc, eq, gt, lt, sql as text } from "drizzle-orm";
import { audit } from "./schema-admin.ts";
import type { Sql } from "./sql.ts";

export type AuditRecord = typeof audit.$inferSelect;
export type AuditEntry = Readonly<{
  atMs: number;
  /** Who did it. */
  actor: string;
  /** A verb of ours: `ban`, `unban`, `allow` … */
  action: string;
  /** What it was done to: a net, a host, a token's name. */
  target: string;
  detail: Readonly<Record<string, unknown>>;
}>;

/** Writers of the chain wait for each other here, until their transactions end; any number unused elsewhere. */
const chainLock = 7_312_004_222;
const beforeFirst = "0".repeat(64);
/** Entries read at a time while the chain is checked. */
const verifyPage = 1000;

/** Adds an entry to the chain. Call it in the transaction of the act itself: both happen or neither. */
export async function appendAudit(sql: Sql, entry: AuditEntry): Promise<AuditRecord> {
  await sql.rows("select pg_advisory_xact_lock($1)", [chainLock]);
  const [last] = await sql.db.select().from(audit).orderBy(desc(audit.sequence)).limit(1);
  const link = { ...entry, sequence: (last?.sequence ?? 0) + 1, previousHash: last?.hash ?? beforeFirst };
  const record = { ...link, hash: hashOf(link) };
  await sql.db.insert(audit).values(record);
  return record;
}

export type AuditFilter = Readonly<{
  actor?: string | undefined;
  action?: string | undefined;
  target?: string | undefined;
  /** Only entries that concern this tenant. */
  tenant?: string | undefined;
}>;

/** Newest first, those before `before`. */
export async function listAudit(
  sql: Sql,
  before: number | null,
  limit: number,
  { actor, action, target, tenant }: AuditFilter = {},
): Promise<AuditRecord[]> {
  const where = and(
    before === null ? undefined : lt(audit.sequence, before),
    actor === undefined ? undefined : eq(audit.actor, actor),
    action === undefined ? undefined : eq(audit.action, action),
    target === undefined ? undefined : eq(audit.target, target),
    tenant === undefined ? undefined : text`(${audit.detail} ->> 'tenant') = ${tenant}`,
  );
  return sql.db.select().from(audit).where(where).orderBy(desc(audit.sequence)).limit(limit);
}

/** When a tenant lifted bans by itself, oldest first. */
export async function selfServiceSince(sql: Sql, tenant: string, sinceMs: number): Promise<number[]> {
  const rows = await sql.rows<{ atMs: number }>(
    `select at_ms as "atMs" from audit where (detail ->> 'tenant') = $1 and at_ms > $2
       and detail @> '{"selfService": true}' order by at_ms`,
    [tenant, sinceMs],
  );
  return rows.map((row) => row.atMs);
}

/** `brokenAt`: the first entry that was changed, inserted or follows one that was removed; null when sound. */
export type AuditCheck = Readonly<{ entries: number; brokenAt: number | null }>;

/** Recomputes the whole chain. */
export async function checkAudit(sql: Sql): Promise<AuditCheck> {
  let previous: AuditRecord | undefined;
  let entries = 0;
  for (;;) {
    const after = gt(audit.sequence, previous?.sequence ?? 0);
    const page = await sql.db.select().from(audit).where(after).orderBy(asc(audit.sequence)).limit(verifyPage);
    for (const record of page) {
      // The first one kept stands for those that were forgotten before it.
      const follows =
        previous === undefined || (record.previousHash === previous.hash && record.sequence === previous.sequence + 1);
      if (!follows || record.hash !== hashOf(record)) return { entries, brokenAt: record.sequence };
      previous = record;
      entries += 1;
    }
    if (page.length < verifyPage) return { entries, brokenAt: null };
  }
}

export async function verifyAudit(sql: Sql): Promise<number | null> {
  return (await checkAudit(sql)).brokenAt;
}

/** Forgets entries from before; the only way any are removed. @returns how many */
export async function pruneAudit(sql: Sql, beforeMs: number): Promise<number> {
  // Never the last one: the chain goes on from it.
  const rows = await sql.rows<{ count: number }>(
    `with allowed as (select set_config('fleet2ban.prune_audit', 'on', true)),
       gone as (delete from audit using allowed where at_ms < $1 and sequence < (select max(sequence) from audit) returning 1)
     select count(*) as count from gone`,
    [beforeMs],
  );
  return rows[0]?.count ?? 0;
}

function hashOf(link: Omit<AuditRecord, "hash">): string {
  const { sequence, atMs, actor, action, target, detail, previousHash } = link;
  const text = JSON.stringify([sequence, atMs, actor, action, target, sorted(detail), previousHash]);
  return createHash("sha256").update(text).digest("hex");
}

/** jsonb keeps no order of keys, so the hash must not depend on one. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined).map(([key, each]) => [key, sorted(each)]));
}
