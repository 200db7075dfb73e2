import { eq } from "drizzle-orm";
import { Fleet2banError } from "../../shared/errors.ts";
import { tokenPattern } from "../../shared/subjects.ts";
import type { Memory, TenantFact, Trust } from "../domain/judge.ts";
import { tenants } from "./schema-fleet.ts";
import type { Sql } from "./sql.ts";

export type TenantView = Readonly<{
  name: string;
  trust: Trust;
  createdMs: number;
  quarantined: boolean;
  hosts: number;
}>;

/** @throws Fleet2banError `invalid` for a name no subject can carry, `conflict` when it is taken */
export async function insertTenant(sql: Sql, name: string, trust: Trust, createdMs: number): Promise<void> {
  if (!tokenPattern.test(name)) {
    throw new Fleet2banError(
      "invalid",
      `tenant: "${name}" must be 1 to 48 of a-z, 0-9 and -, not starting or ending with -`,
    );
  }
  const made = await sql.db.insert(tenants).values({ name, trust, createdMs }).onConflictDoNothing().returning();
  if (made.length === 0) throw new Fleet2banError("conflict", `tenant: "${name}" exists already`);
}

export async function listTenants(sql: Sql, tenant: string | null): Promise<TenantView[]> {
  return sql.rows<TenantView>(
    `select name, trust, created_ms as "createdMs", quarantined,
       (select count(*) from hosts where hosts.tenant = tenants.name and state <> 'revoked') as hosts
     from tenants where $1::text is null or name = $1 order by name`,
    [tenant],
  );
}

export async function findTenant(sql: Sql, name: string): Promise<TenantView | undefined> {
  const [found] = await listTenants(sql, name);
  return found;
}

export async function setTrust(sql: Sql, name: string, trust: Trust): Promise<void> {
  await sql.db.update(tenants).set({ trust }).where(eq(tenants.name, name));
}

/** What people may change of a tenant. */
export function tenantState({ trust, quarantined }: Pick<TenantView, "trust" | "quarantined">) {
  return { trust, quarantined };
}

export async function tenantExists(sql: Sql, name: string): Promise<boolean> {
  const found = await sql.db.select({ name: tenants.name }).from(tenants).where(eq(tenants.name, name));
  return found.length > 0;
}

export async function tenantFacts(sql: Sql): Promise<TenantFact[]> {
  return sql.rows<TenantFact>(
    `select 'tenant' as kind, name as tenant, trust, created_ms as "createdAtMs" from tenants order by name`,
  );
}

type Quarantine = Memory["quarantines"] extends Iterable<infer Each> ? Each : never;

export async function rememberedQuarantines(sql: Sql): Promise<Quarantine[]> {
  return sql.rows<Quarantine>(
    `select name as tenant, null as host, quarantined as on, quarantine_lifted_ms as "liftedAtMs" from tenants
     where quarantined or quarantine_lifted_ms is not null
     union all
     select tenant, host, state = 'quarantined', quarantine_lifted_ms from hosts
     where state = 'quarantined' or quarantine_lifted_ms is not null`,
  );
}

/** `host` null = the tenant itself. A revoked host stays revoked. @returns whether there was such a host or tenant */
export async function setQuarantine(
  sql: Sql,
  tenant: string,
  host: string | null,
  on: boolean,
  nowMs: number,
): Promise<boolean> {
  const lifted = "quarantine_lifted_ms = case when $2 then quarantine_lifted_ms else $3::bigint end";
  const rows =
    host === null
      ? await sql.rows(`update tenants set quarantined = $2, ${lifted} where name = $1 returning name`, [
          tenant,
          on,
          nowMs,
        ])
      : await sql.rows(
          `update hosts set state = case when $2 then 'quarantined' else 'active' end, ${lifted}
           where host = $4 and tenant = $1 and state <> 'revoked' returning host`,
          [tenant, on, nowMs, host],
        );
  return rows.length > 0;
}
