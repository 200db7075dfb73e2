import { writeAudit } from "./ingest/act.ts";
import { addTenant } from "./ingest/admin-acts.ts";
import type { JudgeWriter } from "./ingest/judge-writer.ts";
import type { Store } from "./store/open-store.ts";
import { tenantExists } from "./store/tenants.ts";
import { countApiTokens, insertApiToken } from "./store/tokens.ts";

/** What a fleet of one operator needs and everybody starts with. */
export const defaultTenant = "default";

/**
 * Makes what must exist before anybody can do anything: the default tenant, whose hosts are trusted, and an admin.
 *
 * @returns the admin's token, once; nobody can read it again
 */
export async function firstStart(store: Store, writer: JudgeWriter, nowMs: number): Promise<string | undefined> {
  if (!(await tenantExists(store, defaultTenant))) {
    await addTenant(writer, { by: "first start", note: null }, { name: defaultTenant, trust: "full" });
  }
  if ((await countApiTokens(store)) > 0) return undefined;
  const admin = { name: "first admin", role: "admin", tenant: null, createdMs: nowMs, untilMs: null } as const;
  return await store.transaction(async (sql) => {
    const { id, token } = await insertApiToken(sql, admin);
    const act = { by: "first start", note: null };
    await writeAudit({ sql, nowMs }, act, "add token", admin.name, { tenant: null, after: { id, role: admin.role } });
    return token;
  });
}
