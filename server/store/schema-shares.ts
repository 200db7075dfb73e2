import { bigint, bigserial, index, integer, json, pgTable, serial, text } from "drizzle-orm/pg-core";
import type { SharedDeed } from "./deeds.ts";

const ms = () => bigint({ mode: "number" });

/** Coordinators that share the work of the one that leads; one row per life of a process. */
export const sharers = pgTable("sharers", {
  id: serial().primaryKey(),
  url: text().notNull(),
  sinceMs: ms().notNull(),
});

/**
 * Who decides about a partition. A transaction locks the rows of its coordinator; the fence grows with each change of
 * the owner, so that one who lost a partition and got it back knows that it has missed something.
 */
export const partitions = pgTable("partitions", {
  partition: integer().primaryKey(),
  fence: ms().notNull(),
  owner: integer(),
});

/** What coordinators that share the work tell each other, in the order in which it was committed; without gaps. */
export const deeds = pgTable("deeds", {
  position: ms().primaryKey(),
  coordinator: integer().notNull(),
  atMs: ms().notNull(),
  deed: json().$type<SharedDeed>().notNull(),
});

/** Failures that are taken in and acknowledged, on their way to the coordinator that judges their subjects. */
export const handedFailures = pgTable(
  "handed_failures",
  {
    id: bigserial({ mode: "number" }).primaryKey(),
    partition: integer().notNull(),
    /** See `handFailures`. */
    failures: text().notNull(),
  },
  (table) => [index().on(table.partition, table.id)],
);
