import { keyValues, withinKeys } from "./address-key.ts";
import { lastBanId } from "./bans.ts";
import { eraseDeeds } from "./deeds.ts";
import { eraseListed } from "./feed-entries.ts";
import { eraseHanded } from "./handed-failures.ts";
import { eraseAnswers } from "./idempotency.ts";
import { only, type Sql } from "./sql.ts";

/** One kept record about a net: which table it is from and the row, times as ISO 8601. */
export type KeptRecord = Readonly<{ kind: RecordKind; row: Readonly<Record<string, unknown>> }>;
export type RecordKind = keyof typeof tables;

/** Records of one kind in an export; the newest. A copy for one person, not a backup. */
export const exportRowsMax = 100_000;
/** Rows read at a time. */
const pageRows = 1_000;

/** Where something about a net is kept, what of it concerns whoever had the address, and how it is found. */
const tables = {
  failure: {
    columns: "received_ms, at_ms, host(address) as address, count, tenant, host, jail, weight, sample",
    from: `failures where ${withinKeys(1)}`,
    order: "received_ms desc, at_ms desc, host",
  },
  /** By day, of its subject. */
  count: {
    columns: "day_ms, subject, tenant, host, jail, failures",
    from: "failure_counts where subject <<= $1::inet",
    order: "day_ms desc, tenant, host, jail",
  },
  ban: {
    columns:
      "id, net, scope, level, ports, started_ms, until_ms, ended_ms, end_reason, reason, evidence, made_by, note",
    from: "bans where net <<= $1::inet",
    order: "id desc",
  },
  stopped: {
    columns: "kind, at_ms, net, scope, why, reason, evidence, tenant",
    from: "stopped_bans where net <<= $1::inet",
    order: "id desc",
  },
  approval: {
    columns:
      "kind, net, scope, span_ms as span_milliseconds, ports, why, reason, asked_by, asked_ms, state, decided_by, decided_ms",
    from: "approvals where net <<= $1::inet",
    order: "id desc",
  },
  localBan: {
    columns: "host, tenant, jail, net, started_ms, until_ms, ended_ms, end_reason",
    from: "local_bans where net <<= $1::inet",
    order: "started_ms desc",
  },
  rule: {
    columns: "kind, net, tenant, reason, made_by, created_ms, until_ms, removed_ms",
    from: "rules where net <<= $1::inet",
    order: "id desc",
  },
  /** That somebody else's list names it. */
  feedEntry: {
    columns: "feed, net, since_ms",
    from: "feed_entries where net <<= $1::inet",
    order: "feed, net",
  },
  feedException: {
    columns: "feed, net, made_ms, made_by, note",
    from: "feed_exceptions where net <<= $1::inet",
    order: "feed, net",
  },
  order: {
    columns: `scope, revision, at_ms, "order"`,
    from: `orders where ("order" ->> 'net')::inet <<= $1::inet`,
    order: "at_ms desc, scope, revision",
  },
  /** What coordinators told each other within the last hour. */
  deed: {
    columns: "at_ms, what",
    from: `deeds, jsonb_path_query(deed::jsonb, 'strict $.** ? (exists (@.net))') as named (what)
       where (what ->> 'net')::inet <<= $1::inet`,
    order: "position desc",
  },
  audit: {
    columns: "sequence, at_ms, actor, action, target, detail",
    from: "audit where target = any ($1::text[])",
    order: "sequence desc",
  },
} as const;

/** All that is kept about a net and what lies inside it; for IPv6 ask with the network, as it is counted. */
export async function* exportAbout(sql: Sql, net: string): AsyncGenerator<KeptRecord> {
  for (const kind of Object.keys(tables) as RecordKind[]) {
    const { columns, from, order } = tables[kind];
    for (let offset = 0; offset < exportRowsMax; offset += pageRows) {
      const rows = await sql.rows<Record<string, unknown>>(
        `select ${columns} from ${from} order by ${order} limit ${pageRows} offset ${offset}`,
        valuesOf(kind, net),
      );
      for (const row of rows) yield { kind, row: withDates(row) };
      if (rows.length < pageRows) break;
    }
  }
}

export type Erased = Readonly<Record<"failures" | "counts" | "bans" | "stopped" | "localBans" | "approvals", number>>;

/**
 * Removes what is kept about a net and what lies inside it. Two things stay for their own time: the order log, whose
 * revisions must have no gap and which agents may still have to read (7 days), and the audit log, which is append-only
 * (12 months). Allow and never entries, and what people lifted of a feed, are an operator's will and are removed by their
 * own verb. Run it while nobody judges or counts.
 */
export async function eraseAbout(sql: Sql, net: string): Promise<Erased> {
  // Ids are never given twice, also when the last ban is among the erased.
  await sql.rows(
    `insert into meta (key, value) values ('lastBanId', to_jsonb($1::bigint))
     on conflict (key) do update set value = excluded.value`,
    [await lastBanId(sql)],
  );
  await eraseDeeds(sql);
  await eraseAnswers(sql, net);
  const handed = await eraseHanded(sql, net);
  await eraseListed(sql, net);
  const erased = await eachErasable(
    sql,
    net,
    (from) => `with gone as (delete from ${from} returning 1) select count(*) as count from gone`,
  );
  return { ...erased, failures: erased.failures + handed };
}

/** How much an erasure would remove. */
export async function countAbout(sql: Sql, net: string): Promise<Erased> {
  return await eachErasable(sql, net, (from) => `select count(*) as count from ${from}`);
}

async function eachErasable(sql: Sql, net: string, counting: (from: string) => string): Promise<Erased> {
  const count = async (kind: RecordKind): Promise<number> =>
    only(await sql.rows<{ count: number }>(counting(tables[kind].from), [...valuesOf(kind, net)])).count;
  return {
    failures: await count("failure"),
    counts: await count("count"),
    bans: await count("ban"),
    stopped: await count("stopped"),
    localBans: await count("localBan"),
    approvals: await count("approval"),
  };
}

function valuesOf(kind: RecordKind, net: string): readonly unknown[] {
  if (kind === "failure") return keyValues(net);
  // The audit log knows nets by their names alone.
  return [kind === "audit" ? namesOf(net) : net];
}

/** As acts of people name it: with its length, and a single address also without. */
function namesOf(net: string): string[] {
  const [address = net, prefix] = net.split("/");
  return prefix === "32" || prefix === "128" ? [net, address] : [net];
}

function withDates(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(row).map(([name, value]) =>
    name.endsWith("_ms") && typeof value === "number"
      ? [name.slice(0, -"_ms".length), new Date(value).toISOString()]
      : [name, value],
  );
  return Object.fromEntries(entries);
}
