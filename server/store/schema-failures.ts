import { bigint, index, inet, integer, pgTable, text } from "drizzle-orm/pg-core";
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
