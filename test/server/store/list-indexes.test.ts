import assert from "node:assert/strict";
import { test } from "node:test";
import { listAudit } from "../../../server/store/audit.ts";
import { countMatching, liftRate, listBans, standingTag } from "../../../server/store/ban-lists.ts";
import { explainNet } from "../../../server/store/explain.ts";
import { countFailureDays, seenSince } from "../../../server/store/failure-counts.ts";
import { attacksPerMinute, listFailures } from "../../../server/store/failure-lists.ts";
import { countFailures, createFailureDays, recentFailures } from "../../../server/store/failures.ts";
import { listHostsBy } from "../../../server/store/hosts.ts";
import { listHeld, listIncidents } from "../../../server/store/incidents.ts";
import type { Sql } from "../../../server/store/sql.ts";
import { dayMs } from "../../../shared/durations.ts";
import { freshStore } from "../../support/database.ts";
import { fillFleet } from "../../support/large-fleet.ts";

const nowMs = Date.UTC(2026, 10, 22, 9);

/**
 * Two reads are left out: a search for part of a name looks at every name, and counting standing bans at every
 * standing ban; both are small beside the history.
 *
 * The same connection, but every statement is explained: what it would read row by row is remembered. */
function explaining(sql: Sql, scans: string[]): Sql {
  const explain = async (text: string, values: readonly unknown[]): Promise<void> => {
    const plan = await sql.rows<{ "QUERY PLAN": string }>(`explain ${text}`, values);
    for (const { "QUERY PLAN": step } of plan) {
      const scanned = /Seq Scan on (bans|failures_20261122|failure_counts_20261122|audit|hosts|stopped_bans)\b/.exec(
        step,
      );
      if (scanned !== null) scans.push(`${scanned[1]}: ${text.replaceAll(/\s+/g, " ").slice(-160)}`);
    }
  };
  return {
    ...sql,
    // drizzle's own connection is watched where it hands its statement over.
    db: new Proxy(sql.db, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (name !== "select" || typeof value !== "function") return value;
        return (...fields: unknown[]) => watched(Reflect.apply(value, target, fields) as object, explain);
      },
    }),
    rows: async <Row extends object>(text: string, values: readonly unknown[] = []) => {
      await explain(text, values);
      return await sql.rows<Row>(text, values);
    },
  };
}

type Explain = (text: string, values: readonly unknown[]) => Promise<void>;
type Built = { toSQL(): { sql: string; params: unknown[] }; then: unknown };

function watched(builder: object, explain: Explain): object {
  return new Proxy(builder, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name === "then") {
        return (...handlers: unknown[]) => {
          const { sql, params } = (target as Built).toSQL();
          return explain(sql, params).then(() => Reflect.apply(value, target, handlers));
        };
      }
      return (...given: unknown[]) => {
        const next: unknown = Reflect.apply(value, target, given);
        return typeof next === "object" && next !== null && "toSQL" in next ? watched(next, explain) : next;
      };
    },
  });
}

test("no list reads a table row by row, whatever it is filtered by", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  await fillFleet(store, { bans: 50_000, hosts: 2_000, failures: 50_000, auditEntries: 20_000, nowMs });
  const scans: string[] = [];
  const sql = explaining(store, scans);
  const after = { id: 400, untilMs: nowMs };
  const filters = [
    {},
    { active: true },
    { active: true, after },
    { sort: "oldest", after },
    { sort: "ending" },
    { sort: "ending", after },
    { active: true, scope: "fleet" },
    { scope: "tenant:t7" },
    { active: true, level: 3 },
    { reason: "jail postfix" },
    { active: true, reason: "admin" },
    { active: true, net: "192.0.2.0/24" },
    { net: "2001:db8::/48" },
    { active: true, tenant: "t7" },
  ] as const;
  for (const filter of filters) await listBans(sql, filter, 101);
  await listIncidents(sql, null, null, 101);
  await listIncidents(sql, null, { atMs: nowMs - 5000, source: "ban", id: 7 }, 101);
  await listIncidents(sql, "t7", null, 101);
  await listHeld(sql, null, 101);
  for (const filter of [{}, { after: "vps-00100" }, { tenant: "t7" }, { state: "active" }] as const) {
    await listHostsBy(sql, filter, 101);
  }
  for (const filter of [
    {},
    { net: "192.0.2.0/28" },
    { jail: "sshd" },
    { after: { receivedMs: nowMs, row: "(5,5)" } },
  ]) {
    await listFailures(sql, { sinceMs: nowMs - 3_600_000, ...filter }, 101);
  }
  await recentFailures(sql, null, 100, nowMs);
  await countFailures(sql, null, nowMs - 60_000);
  await attacksPerMinute(sql, null, nowMs - 60_000);
  for (const filter of [{}, { action: "ban" }, { actor: "anna" }, { target: "192.0.2.1/32" }, { tenant: "t7" }]) {
    await listAudit(sql, null, 101, filter);
    await listAudit(sql, 500, 101, filter);
  }
  await explainNet(sql, "192.0.2.1/32", null, nowMs);
  const net = { family: 4, value: 0xc000_0201, prefix: 32 } as const;
  await seenSince(sql, net, null, nowMs - dayMs);
  await countFailureDays(store, nowMs + dayMs, 0);
  await seenSince(sql, net, "t7", nowMs - dayMs);
  await standingTag(sql, null);
  for (const tenant of [null, "t7"]) await liftRate(sql, tenant, nowMs - 3_600_000);
  await countMatching(sql, { reason: "jail postfix", level: 0 });
  await countMatching(sql, { net: "192.0.2.0/24", upTo: 4000 });
  assert.deepEqual(scans, []);
});

test("the rate of lifted bans, read from indexes, is what looking at every ban gives", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  await fillFleet(store, { bans: 20_000, hosts: 200, failures: 0, auditEntries: 10, nowMs });
  const sinceMs = nowMs - 10_000_000;
  for (const tenant of [null, "t7"]) {
    const scopes = `scope = 'fleet' or scope = 'tenant:t7' or scope in (select 'host:' || host from hosts where tenant = 't7')`;
    const [expected] = await store.rows<{ bans: number; lifted: number }>(
      `select count(*) as bans, count(*) filter (where end_reason <> 'expired' and ended_ms - started_ms <= 86400000) as lifted
       from bans where started_ms >= $1 and level is not null ${tenant === null ? "" : `and (${scopes})`}`,
      [sinceMs],
    );
    const found = await liftRate(store, tenant, sinceMs);
    assert.deepEqual(found, expected);
    assert.ok(found.lifted > 0 && found.bans < 10_000);
  }
  assert.deepEqual(await liftRate(store, null, nowMs + 1), { bans: 0, lifted: 0 });
});

test("the watch itself sees a scan", async () => {
  await using store = await freshStore();
  await createFailureDays(store, nowMs);
  await fillFleet(store, { bans: 5_000, hosts: 10, failures: 0, auditEntries: 10, nowMs });
  const scans: string[] = [];
  const sql = explaining(store, scans);
  await sql.rows("select * from bans where note = $1", ["x"]);
  assert.equal(scans.length, 1);
});
