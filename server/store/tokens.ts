import { createHash, randomBytes } from "node:crypto";
import { and, asc, count, desc, eq, getTableColumns, gt, isNull, lt, or, sql as text } from "drizzle-orm";
import { minuteMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { apiTokens, type Role } from "./schema-admin.ts";
import { enrollmentTokens } from "./schema-fleet.ts";
import type { Sql } from "./sql.ts";

export type { Role } from "./schema-admin.ts";

/** `tenant` null = the whole fleet. */
export type ApiTokenView = Readonly<{
  id: number;
  name: string;
  role: Role;
  tenant: string | null;
  createdMs: number;
  untilMs: number | null;
  lastUsedMs: number | null;
  revokedMs: number | null;
}>;
export type NewApiToken = Pick<ApiTokenView, "name" | "role" | "tenant" | "createdMs" | "untilMs">;

const view = {
  id: apiTokens.id,
  name: apiTokens.name,
  role: apiTokens.role,
  tenant: apiTokens.tenant,
  createdMs: apiTokens.createdMs,
  untilMs: apiTokens.untilMs,
  lastUsedMs: apiTokens.lastUsedMs,
  revokedMs: apiTokens.revokedMs,
};
/** "Last used" is for finding forgotten tokens; to the minute is enough and saves a write per request. */
const lastUsedPrecisionMs = minuteMs;

/** 192 random bits; no slow hash is needed for what cannot be guessed. */
function newSecret(prefix: string): string {
  return prefix + randomBytes(24).toString("base64url");
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** @returns the token with its secret, which nobody can read again */
export async function insertApiToken(
  sql: Sql,
  token: NewApiToken,
): Promise<ApiTokenView & Readonly<{ token: string }>> {
  const secret = newSecret("f2b_");
  const [row] = await sql.db
    .insert(apiTokens)
    .values({ ...token, hash: hashOf(secret) })
    .returning(view);
  if (row === undefined) throw new Fleet2banError("internal", "token: not inserted");
  return { ...row, token: secret };
}

/** Who holds this secret; undefined when it is unknown, expired or revoked. */
export async function findApiToken(sql: Sql, secret: string, nowMs: number): Promise<ApiTokenView | undefined> {
  const [row] = await sql.db
    .select(view)
    .from(apiTokens)
    .where(
      and(
        eq(apiTokens.hash, hashOf(secret)),
        isNull(apiTokens.revokedMs),
        or(isNull(apiTokens.untilMs), gt(apiTokens.untilMs, nowMs)),
      ),
    );
  if (row !== undefined && nowMs - (row.lastUsedMs ?? 0) >= lastUsedPrecisionMs) {
    await sql.db.update(apiTokens).set({ lastUsedMs: nowMs }).where(eq(apiTokens.id, row.id));
  }
  return row;
}

export async function listApiTokens(sql: Sql, tenant: string | null): Promise<ApiTokenView[]> {
  const own = tenant === null ? undefined : eq(apiTokens.tenant, tenant);
  return sql.db.select(view).from(apiTokens).where(own).orderBy(asc(apiTokens.id));
}

/** Tells a first start, which needs an admin's token printed, from a later one. */
export async function countApiTokens(sql: Sql): Promise<number> {
  const [row] = await sql.db.select({ count: count() }).from(apiTokens);
  return row?.count ?? 0;
}

/** Revoking twice keeps the first time. @returns undefined when there is no such token */
export async function revokeApiToken(sql: Sql, id: number, nowMs: number): Promise<ApiTokenView | undefined> {
  const [row] = await sql.db
    .update(apiTokens)
    .set({ revokedMs: text`coalesce(${apiTokens.revokedMs}, ${nowMs})` })
    .where(eq(apiTokens.id, id))
    .returning(view);
  return row;
}

export type NewEnrollmentToken = Readonly<{
  tenant: string;
  /** The only name it may enrol; null = the agent proposes one. */
  host: string | null;
  uses: number;
  createdMs: number;
  createdBy: string;
  untilMs: number;
}>;
export type EnrollmentRight = Readonly<{ tenant: string; host: string | null }>;

/** The secret fits into a subject of the bus: lower-case hexadecimal. */
export async function insertEnrollmentToken(sql: Sql, token: NewEnrollmentToken): Promise<Readonly<{ token: string }>> {
  const secret = randomBytes(20).toString("hex");
  const { uses: usesLeft, ...rest } = token;
  await sql.db.insert(enrollmentTokens).values({ ...rest, usesLeft, hash: hashOf(secret) });
  return { token: secret };
}

/** Takes one use. Call it in the transaction that enrols the host. @returns undefined when the token is worth nothing (any more) */
export async function useEnrollmentToken(
  sql: Sql,
  secret: string,
  nowMs: number,
): Promise<EnrollmentRight | undefined> {
  const [row] = await sql.db
    .update(enrollmentTokens)
    .set({ usesLeft: text`${enrollmentTokens.usesLeft} - 1` })
    .where(
      and(
        eq(enrollmentTokens.hash, hashOf(secret)),
        gt(enrollmentTokens.usesLeft, 0),
        gt(enrollmentTokens.untilMs, nowMs),
      ),
    )
    .returning({ tenant: enrollmentTokens.tenant, host: enrollmentTokens.host });
  return row;
}

/** What a token would allow, without using it up: for an agent that asks again after its first answer got lost. */
export async function findEnrollmentToken(
  sql: Sql,
  secret: string,
  nowMs: number,
): Promise<EnrollmentRight | undefined> {
  const [row] = await sql.db
    .select({ tenant: enrollmentTokens.tenant, host: enrollmentTokens.host })
    .from(enrollmentTokens)
    .where(and(eq(enrollmentTokens.hash, hashOf(secret)), gt(enrollmentTokens.untilMs, nowMs)));
  return row;
}

export type EnrollmentTokenRow = Omit<typeof enrollmentTokens.$inferSelect, "hash">;
const { hash: _hash, ...enrollmentView } = getTableColumns(enrollmentTokens);

/** Newest first, those below `before`. `tenant` null = all. */
export async function listEnrollmentTokens(
  sql: Sql,
  tenant: string | null,
  before: number | null,
  limit: number,
): Promise<EnrollmentTokenRow[]> {
  const own = tenant === null ? undefined : eq(enrollmentTokens.tenant, tenant);
  const older = before === null ? undefined : lt(enrollmentTokens.id, before);
  return sql.db
    .select(enrollmentView)
    .from(enrollmentTokens)
    .where(and(own, older))
    .orderBy(desc(enrollmentTokens.id))
    .limit(limit);
}

/** @returns undefined when there is no such token, or not of this tenant */
export async function revokeEnrollmentToken(
  sql: Sql,
  id: number,
  tenant: string | null,
): Promise<EnrollmentTokenRow | undefined> {
  const own = tenant === null ? undefined : eq(enrollmentTokens.tenant, tenant);
  const [row] = await sql.db
    .update(enrollmentTokens)
    .set({ usesLeft: 0 })
    .where(and(eq(enrollmentTokens.id, id), own))
    .returning(enrollmentView);
  return row;
}

export async function pruneEnrollmentTokens(sql: Sql, beforeMs: number): Promise<void> {
  await sql.db.delete(enrollmentTokens).where(lt(enrollmentTokens.untilMs, beforeMs));
}
