import { bigint, bigserial, index, integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";

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
  (table) => [index().on(table.atMs)],
);

/** Who may write for a partition: transactions of a coordinator with an older token fail. */
export const partitions = pgTable("partitions", {
  partition: integer().primaryKey(),
  fence: ms().notNull(),
});

/** Single facts about this database: the order log's epoch, names of keys. */
export const meta = pgTable("meta", { key: text().primaryKey(), value: jsonb().notNull() });
