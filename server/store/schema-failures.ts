import { bigint, cidr, index, inet, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { Weight } from "../domain/judge.ts";

const ms = () => bigint({ mode: "number" });

/**
 * What agents saw: evidence for people, and what the judge is rebuilt from. Partitioned by the day of arrival (the
 * migration adds it, drizzle has no word for it), so that forgetting a day is dropping a table.
 */
export const failures = pgTable(
  "failures",
  {
    receivedMs: ms().notNull(),
    /** The log's own date, as it counted: never later than the arrival. */
    atMs: ms().notNull(),
    /** See `address-key.ts`: what `address` is found by. */
    addressKey: bigint({ mode: "number" }).notNull(),
    address: inet().notNull(),
    count: integer().notNull(),
    tenant: text().notNull(),
    host: text().notNull(),
    jail: text().notNull(),
    weight: text().$type<Weight>().notNull(),
    sample: text(),
  },
  // Arrivals only ever grow: an index on them is written at its right end alone.
  (table) => [index().on(table.addressKey), index().on(table.receivedMs)],
);

/**
 * What is kept of a day when its failures are forgotten: how many lines a host saw of a subject in a jail, without lines
 * and times. Written once, when the day is over, and partitioned like `failures`.
 */
export const failureCounts = pgTable(
  "failure_counts",
  {
    /** When the day of arrival began, in UTC. */
    dayMs: ms().notNull(),
    /** An IPv4 address or an IPv6 /64, whatever the policy bans. */
    subject: cidr().notNull(),
    tenant: text().notNull(),
    host: text().notNull(),
    jail: text().notNull(),
    failures: ms().notNull(),
  },
  (table) => [index().on(table.subject)],
);

/** The same added up, by day, tenant and jail; nobody's address is in it. It also says which days are counted. */
export const failureDays = pgTable(
  "failure_days",
  {
    dayMs: ms().notNull(),
    tenant: text().notNull(),
    jail: text().notNull(),
    failures: ms().notNull(),
  },
  (table) => [primaryKey({ columns: [table.dayMs, table.tenant, table.jail] })],
);
