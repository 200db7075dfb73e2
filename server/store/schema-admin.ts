import { sql } from "drizzle-orm";
import { bigint, bigserial, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

const ms = () => bigint({ mode: "number" });

export type Role = "viewer" | "support" | "operator" | "admin";

/** Only the SHA-256 of a token is kept. */
export const apiTokens = pgTable("api_tokens", {
  id: bigserial({ mode: "number" }).primaryKey(),
  name: text().notNull(),
  hash: text().notNull().unique(),
  role: text().$type<Role>().notNull(),
  /** null = the whole fleet. */
  tenant: text(),
  createdMs: ms().notNull(),
  untilMs: ms(),
  lastUsedMs: ms(),
  revokedMs: ms(),
});

/** Policies are never changed: a new version follows. `document` is the YAML as it was written. */
export const policies = pgTable("policies", {
  version: integer().primaryKey(),
  document: text().notNull(),
  createdMs: ms().notNull(),
  createdBy: text().notNull(),
});

/** Append-only and hash-chained; the migration adds the trigger that refuses changes. */
export const audit = pgTable(
  "audit",
  {
    sequence: ms().primaryKey(),
    atMs: ms().notNull(),
    actor: text().notNull(),
    action: text().notNull(),
    target: text().notNull(),
    detail: jsonb().$type<Readonly<Record<string, unknown>>>().notNull(),
    previousHash: text().notNull(),
    hash: text().notNull(),
  },
  (table) => [
    index().on(table.atMs),
    index().on(table.actor, table.sequence),
    index().on(table.action, table.sequence),
    index().on(table.target, table.sequence),
    index("audit_tenant").on(sql`(detail ->> 'tenant')`, table.sequence),
  ],
);

/** Answers to writes that came with an idempotency key, so that a repeated one gets the same answer and does nothing. */
export const idempotency = pgTable(
  "idempotency",
  {
    tokenId: ms().notNull(),
    key: text().notNull(),
    /** SHA-256 of method, path and body. */
    request: text().notNull(),
    createdMs: ms().notNull(),
    /** null while the write is being worked on. */
    status: integer(),
    /** null also when the answer held a secret. */
    body: text(),
    etag: text(),
  },
  (table) => [primaryKey({ columns: [table.tokenId, table.key] }), index().on(table.createdMs)],
);

/** Single facts about this database: the order log's epoch, who leads. */
export const meta = pgTable("meta", { key: text().primaryKey(), value: jsonb().notNull() });
