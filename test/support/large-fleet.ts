import type { Sql } from "../../server/store/sql.ts";

export type FleetSize = Readonly<{
  bans: number;
  hosts: number;
  failures: number;
  auditEntries: number;
  nowMs: number;
}>;

/** The failures' arrivals lie within this. */
const failuresMs = 6 * 3_600_000;

/** Tenants the hosts are spread over, besides `default`. */
const tenants = 100;

/**
 * A large fleet's tables, written by the database itself: addresses of the documentation ranges and of 2001:db8::/32,
 * a third of the bans standing, most of them fleet-wide and of low level, as a long life leaves them. The audit's
 * hashes are not a chain.
 */
export async function fillFleet(sql: Sql, { bans, hosts, failures, auditEntries, nowMs }: FleetSize): Promise<void> {
  // Numbers of our own, so they may stand in the text: parameters would each need their type.
  const run = (text: string) => sql.rows(text);
  const long = `${nowMs}::bigint`;
  const spacingMs = Math.max(1, Math.floor(failuresMs / Math.max(1, failures)));
  await run(
    `insert into tenants (name, trust, created_ms) select 'default', 'full', ${nowMs - 90 * 86_400_000}
     union all select 't' || n, 'vote', ${nowMs - 90 * 86_400_000} from generate_series(1, ${tenants}) as n on conflict do nothing`,
  );
  await run(
    `insert into hosts (host, tenant, public_key, enrolled_ms, last_seen_ms, order_epoch, fleet_revision, enforcing, firewall, version, label)
     select 'vps-' || lpad(n::text, 5, '0'), case when n % 3 = 0 then 'default' else 't' || (n % ${tenants} + 1) end, 'U' || n,
       ${long}, ${long} - (n % 200) * 1000, 1, ${bans} - n % 5, n % 50 > 0, 'nftables', '0.1.0', case when n % 10 = 0 then 'shop ' || n end
     from generate_series(1, ${hosts}) as n`,
  );
  for (const [from, to] of stretches(bans)) {
    await run(
      `insert into bans (id, net, scope, level, ports, started_ms, until_ms, ended_ms, end_reason, reason, evidence, vote, made_by, start_revision)
       select n,
         case when n % 4 = 0 then set_masklen(('2001:db8::'::inet + (n::bigint << 64 >> 40) * 65536)::cidr, 64)
           else ('192.0.2.0'::inet + n % 16000000)::cidr end,
         case when n % 5 > 0 then 'fleet' when n % 10 = 0 then 'tenant:t' || (n % ${tenants} + 1) else 'host:vps-' || lpad((n % ${hosts} + 1)::text, 5, '0') end,
         case when n % 100 = 0 then null when n % 1000 = 1 then 3 when n % 50 = 1 then 2 when n % 10 = 1 then 1 else 0 end,
         case when n % 2 = 0 then '{22}'::int[] end,
         ${long} - (${bans} - n) * 1000, case when n % 500 = 0 then null else ${long} + (n % 7200) * 1000 end,
         case when n % 3 > 0 then ${long} - (${bans} - n) * 1000 + 600000 end,
         case when n % 3 = 0 then null when n % 97 = 0 then 'false-positive' else 'expired' end,
         case when n % 100 = 0 then 'admin' when n % 7 = 0 then 'jail postfix' when n % 11 = 0 then 'spread' else 'jail sshd' end,
         '{"hosts":3,"tenants":1,"failures":5,"sources":["default/vps-00001"]}'::jsonb, false, 'policy 1', n
       from generate_series(${from}, ${to}) as n`,
    );
  }
  await run(
    `insert into scopes (scope, revision) values ('fleet', ${bans}) on conflict (scope) do update set revision = ${bans}`,
  );
  for (const [from, to] of stretches(failures)) {
    await run(
      `insert into failures (received_ms, at_ms, address_key, address, count, tenant, host, jail, weight)
       select ${long} - n * ${spacingMs}, ${long} - n * ${spacingMs} - 500, ('192.0.2.0'::inet + n % 100000) - '0.0.0.0'::inet, '192.0.2.0'::inet + n % 100000, 1 + n % 3, 'default', 'vps-' || lpad((n % ${hosts} + 1)::text, 5, '0'),
         case when n % 4 = 0 then 'postfix' else 'sshd' end, 'fleet' from generate_series(${from}, ${to}) as n`,
    );
  }
  await run(
    `insert into stopped_bans (kind, at_ms, net, scope, why, reason, evidence, closed_ms)
     select case when n % 2 = 0 then 'held' else 'refused' end, ${long} - n * 1000, ('203.0.113.0'::inet + n)::cidr, 'fleet', 'x', 'jail sshd',
       '{"hosts":1,"tenants":1,"failures":3,"sources":[]}'::jsonb, case when n > 20 then ${long} end
     from generate_series(1, ${Math.ceil(bans / 10)}) as n`,
  );
  for (const [from, to] of stretches(auditEntries)) {
    await run(
      `insert into audit (sequence, at_ms, actor, action, target, detail, previous_hash, hash)
       select n, ${long} - (${auditEntries} - n) * 1000, 'admin' || n % 50, (array['ban', 'unban', 'allow', 'set policy', 'change host'])[n % 5 + 1],
         host('192.0.2.0'::inet + n % 5000) || '/32', jsonb_build_object('tenant', case when n % 2 = 0 then 't' || (n % ${tenants} + 1) end, 'note', 'ticket'), 'x', 'x'
       from generate_series(${from}, ${to}) as n`,
    );
  }
  await run("vacuum analyze");
}

/** One statement of a million rows takes longer than the store lets any take on a busy machine. */
const stretchRows = 100_000;

function* stretches(count: number): Generator<readonly [number, number]> {
  for (let from = 1; from <= count; from += stretchRows) yield [from, Math.min(count, from + stretchRows - 1)];
}
