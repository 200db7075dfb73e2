import { bigint, bigserial, boolean, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { BlockedCounts } from "../../shared/firewall-lists.ts";
import type { Trust } from "../domain/judge.ts";

/** Milliseconds since the epoch, exactly as the judge counts them; the unit is in each column's name. */
const ms = () => bigint({ mode: "number" });

export const tenants = pgTable("tenants", {
  name: text().primaryKey(),
  trust: text().$type<Trust>().notNull(),
  createdMs: ms().notNull(),
  quarantined: boolean().notNull().default(false),
  quarantineLiftedMs: ms(),
});

export type HostState = "active" | "quarantined" | "revoked";

export const hosts = pgTable(
  "hosts",
  {
    host: text().primaryKey(),
    tenant: text()
      .notNull()
      .references(() => tenants.name),
    /** The agent's public nkey. */
    publicKey: text().notNull().unique(),
    /** What people call it; its name on the bus never changes. */
    label: text(),
    state: text().$type<HostState>().notNull().default("active"),
    quarantineLiftedMs: ms(),
    /** Receives orders and reports, enforces nothing. */
    observe: boolean().notNull().default(false),
    /** false: its failures are not taken. */
    contribute: boolean().notNull().default(true),
    enrolledMs: ms().notNull(),
    /** Moved then, and may still hold credentials that let it hear the tenant it left. */
    movedMs: ms(),
    /** Credentials issued up to then are worth nothing. */
    credentialsSinceMs: ms(),
    lastSeenMs: ms(),
    version: text(),
    firewall: text(),
    enforcing: boolean(),
    clockSkewMs: integer(),
    orderEpoch: ms(),
    /** What the host says it has applied, by the scopes it obeys. */
    fleetRevision: ms(),
    tenantRevision: ms(),
    hostRevision: ms(),
    setHash: text(),
    problems: jsonb().$type<readonly string[]>().notNull().default([]),
    /** What its firewall has stopped since its agent started. */
    blocked: jsonb().$type<BlockedCounts>().notNull().default([]),
  },
  (table) => [index().on(table.tenant)],
);

/** Only the SHA-256 of a token is kept: a stolen backup enrols nobody. */
export const enrollmentTokens = pgTable("enrollment_tokens", {
  id: bigserial({ mode: "number" }).primaryKey(),
  hash: text().notNull().unique(),
  tenant: text()
    .notNull()
    .references(() => tenants.name),
  /** The only name it may enrol; null = the agent proposes one. */
  host: text(),
  usesLeft: integer().notNull(),
  createdMs: ms().notNull(),
  createdBy: text().notNull(),
  untilMs: ms().notNull(),
});

/**
 * Which of an agent's batches are in. `sequence`: it and everything below; `ahead`: single ones above it. One row per
 * life of the agent's state, so that a late duplicate of an earlier life is still known.
 */
export const agentCursors = pgTable(
  "agent_cursors",
  {
    host: text().notNull(),
    epoch: text().notNull(),
    sequence: ms().notNull(),
    ahead: bigint({ mode: "number" }).array().notNull().default([]),
    updatedMs: ms().notNull(),
  },
  (table) => [primaryKey({ columns: [table.host, table.epoch] })],
);
