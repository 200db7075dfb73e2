import { desc, eq, lt } from "drizzle-orm";
import { parse } from "yaml";
import { Fleet2banError } from "../../shared/errors.ts";
import { type Policy, parsePolicy } from "../domain/policy.ts";
import { policies } from "./schema-admin.ts";
import type { Sql } from "./sql.ts";

export type PolicyRecord = typeof policies.$inferSelect;

/** The policy in force; version 0 is the built-in one, in force until somebody writes another. */
export async function currentPolicy(
  sql: Sql,
): Promise<Readonly<{ version: number; policy: Policy; document: string }>> {
  const [row] = await sql.db.select().from(policies).orderBy(desc(policies.version)).limit(1);
  if (row === undefined) return { version: 0, policy: parsePolicy({}, "policy"), document: "" };
  return { version: row.version, policy: readPolicy(row.document), document: row.document };
}

/**
 * Adds the next version. Versions are never changed; going back is writing the old document again.
 *
 * @throws Fleet2banError `invalid` when the document is no policy
 */
export async function insertPolicy(
  sql: Sql,
  document: string,
  createdBy: string,
  createdMs: number,
): Promise<PolicyRecord> {
  readPolicy(document);
  const { version } = await currentPolicy(sql);
  const row = { version: version + 1, document, createdBy, createdMs };
  await sql.db.insert(policies).values(row);
  return row;
}

export async function policyByVersion(sql: Sql, version: number): Promise<PolicyRecord | undefined> {
  const [row] = await sql.db.select().from(policies).where(eq(policies.version, version));
  return row;
}

/** Newest first, those below `before`. */
export async function listPolicies(sql: Sql, before: number | null, limit: number): Promise<PolicyRecord[]> {
  const older = before === null ? undefined : lt(policies.version, before);
  return sql.db.select().from(policies).where(older).orderBy(desc(policies.version)).limit(limit);
}

/** @throws Fleet2banError `invalid` naming setting and remedy */
export function readPolicy(document: string): Policy {
  let value: unknown;
  try {
    value = parse(document);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new Fleet2banError("invalid", `policy: cannot be read as YAML: ${why}`, { cause });
  }
  return parsePolicy(value, "policy");
}
