import { isNull, sql } from "drizzle-orm";
import {
  bigint,
  bigserial,
  boolean,
  cidr,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { Order, Scope, UnbanReason } from "../../shared/order.ts";
import type { BanReason, Evidence } from "../domain/judge.ts";

const ms = () => bigint({ mode: "number" });
const revision = () => bigint({ mode: "number" });

/** Every ban beyond one host, standing and past. The judge gives the ids. */
export const bans = pgTable(
  "bans",
  {
    id: bigint({ mode: "number" }).primaryKey(),
    net: cidr().notNull(),
    scope: text().$type<Scope>().notNull(),
    /** null = by hand. */
    level: smallint(),
    ports: integer().array(),
    startedMs: ms().notNull(),
    untilMs: ms(),
    endedMs: ms(),
    endReason: text().$type<UnbanReason>(),
    endedBy: text(),
    endNote: text(),
    reason: text().$type<BanReason>().notNull(),
    evidence: jsonb().$type<Evidence>().notNull(),
    vote: boolean().notNull(),
    /** Who made it: `policy 3`, or an admin. */
    madeBy: text().notNull(),
    /** The admin's own words. */
    note: text(),
    /** Places in the scope's order log. */
    startRevision: revision().notNull(),
    endRevision: revision(),
  },
  (table) => [
    index().on(table.net),
    index().on(table.startedMs),
    // Lists: the newest of a filter, a page at a time.
    index().on(table.scope, table.id),
    index().on(table.level, table.id),
    index().on(table.reason, table.id),
    // What people lifted are few beside what expired.
    index("bans_lifted").on(table.id).where(sql`end_reason <> 'expired'`),
    // Standing ones are few beside the history. The first holds what counting them by level needs.
    index("bans_standing").on(table.scope, table.id, table.level).where(isNull(table.endedMs)),
    index("bans_standing_by_id").on(table.id).where(isNull(table.endedMs)),
    // Of those without a level: what each feed has banned, and until when.
    index("bans_standing_unranked")
      .on(table.reason, table.net, table.untilMs, table.id)
      .where(sql`ended_ms is null and level is null`),
    index("bans_standing_by_end").on(table.untilMs, table.id).where(isNull(table.endedMs)),
  ],
);

/** Bans that were due or asked for and were not made. */
export const stoppedBans = pgTable(
  "stopped_bans",
  {
    id: bigserial({ mode: "number" }).primaryKey(),
    kind: text().$type<"held" | "refused">().notNull(),
    atMs: ms().notNull(),
    net: cidr().notNull(),
    scope: text().$type<Scope>().notNull(),
    why: text().notNull(),
    ports: integer().array(),
    reason: text().$type<BanReason>().notNull(),
    evidence: jsonb().$type<Evidence>().notNull(),
    /** Whose failures of the net this settles. */
    tenant: text(),
    /** Of a held one: when it was released, dropped, or overtaken by a ban. */
    closedMs: ms(),
  },
  (table) => [
    index().on(table.atMs),
    index().on(table.scope, table.atMs),
    index("stopped_bans_held").on(table.net).where(sql`kind = 'held' and closed_ms is null`),
  ],
);

/** What agents' own jails banned, as they reported it. */
export const localBans = pgTable(
  "local_bans",
  {
    host: text().notNull(),
    net: cidr().notNull(),
    jail: text().notNull(),
    tenant: text().notNull(),
    startedMs: ms().notNull(),
    untilMs: ms(),
    endedMs: ms(),
    endReason: text().$type<UnbanReason>(),
  },
  (table) => [
    primaryKey({ columns: [table.host, table.net, table.jail] }),
    index().on(table.net),
    index().on(table.untilMs),
  ],
);

/** Bans and allows wider than one admin may make: asked for by one, decided by another. */
export const approvals = pgTable(
  "approvals",
  {
    id: bigserial({ mode: "number" }).primaryKey(),
    kind: text().$type<"ban" | "allow">().notNull(),
    net: cidr().notNull(),
    scope: text().$type<Scope>().notNull(),
    /** How long it is to hold, from the approval on; null = for ever. */
    spanMs: ms(),
    ports: integer().array(),
    /** Why one admin was not enough. */
    why: text().notNull(),
    /** The asker's own words. */
    reason: text().notNull(),
    askedBy: text().notNull(),
    askedToken: bigint({ mode: "number" }).notNull(),
    askedMs: ms().notNull(),
    /** Until when somebody may decide. */
    untilMs: ms().notNull(),
    state: text().$type<"waiting" | "approved" | "rejected">().notNull(),
    decidedBy: text(),
    decidedMs: ms(),
    decidedNote: text(),
    /** The ban or the entry of the allow list that came of it. */
    madeId: bigint({ mode: "number" }),
  },
  (table) => [index().on(table.net), index("approvals_waiting").on(table.id).where(sql`state = 'waiting'`)],
);

export type RuleKind = "allow" | "never";

/** Allows and nevers; one sequence of ids, because both reach agents as allow orders. */
export const rules = pgTable(
  "rules",
  {
    id: bigserial({ mode: "number" }).primaryKey(),
    kind: text().$type<RuleKind>().notNull(),
    net: cidr().notNull(),
    /** null = the whole fleet. */
    tenant: text(),
    reason: text().notNull(),
    madeBy: text().notNull(),
    createdMs: ms().notNull(),
    untilMs: ms(),
    removedMs: ms(),
    removedBy: text(),
  },
  (table) => [
    uniqueIndex("rules_standing").on(table.kind, table.net, sql`coalesce(tenant, '')`).where(isNull(table.removedMs)),
  ],
);

/** One row per scope that ever had an order; its row lock makes the revisions one gapless sequence. */
export const scopes = pgTable("scopes", {
  scope: text().$type<Scope>().primaryKey(),
  revision: revision().notNull(),
});

export const orders = pgTable(
  "orders",
  {
    scope: text().$type<Scope>().notNull(),
    revision: revision().notNull(),
    atMs: ms().notNull(),
    order: jsonb().$type<Order>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.scope, table.revision] }), index().on(table.atMs)],
);
