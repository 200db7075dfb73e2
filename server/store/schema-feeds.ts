import { bigint, cidr, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

const ms = () => bigint({ mode: "number" });

export type FeedMode = "observe" | "enforce" | "off";

/** What was said of the last list that was taken. */
export type FeedReport = Readonly<{
  /** Different nets the list names. */
  listed: number;
  badLines: number;
  leftOut: Readonly<Record<string, number>>;
  examples: Readonly<Record<string, readonly string[]>>;
  /** Names the lists and limits of ours it was judged by: by others the same list may be taken otherwise. */
  guard: string;
}>;

/** Lists of others, and how their last download went. */
export const feeds = pgTable("feeds", {
  name: text().primaryKey(),
  /** `https://…`, or `file:NAME` in the data directory. */
  source: text().notNull(),
  mode: text().$type<FeedMode>().notNull(),
  everyMs: ms().notNull(),
  /** Without a good list for so long, what it banned ends. */
  ttlMs: ms().notNull(),
  entriesMax: integer().notNull(),
  /** Whose list it is, under which licence, why we take it. */
  note: text().notNull(),
  createdMs: ms().notNull(),
  createdBy: text().notNull(),
  /** When it is fetched next. */
  dueMs: ms().notNull(),
  triedMs: ms(),
  /** When its publisher last gave a list that was taken, or said that it has not changed. */
  goodMs: ms(),
  /** When its entries last became others. */
  changedMs: ms(),
  /** Why the last try gave nothing; null when it did. */
  why: text(),
  problem: text(),
  etag: text(),
  modified: text(),
  report: jsonb().$type<FeedReport>(),
  /** More than 0: what is banned does not yet follow from what is listed. Counts the changes, so that none is missed. */
  pending: integer().notNull().default(0),
  /** Being removed: what it banned is lifted first. */
  removedMs: ms(),
});

/** What the last good list names and may be banned. */
export const feedEntries = pgTable(
  "feed_entries",
  {
    feed: text()
      .notNull()
      .references(() => feeds.name, { onDelete: "cascade" }),
    net: cidr().notNull(),
    sinceMs: ms().notNull(),
  },
  (table) => [primaryKey({ columns: [table.feed, table.net] }), index().on(table.net)],
);

/** What people lifted: whatever the list says, it is not banned because of it again. */
export const feedExceptions = pgTable(
  "feed_exceptions",
  {
    feed: text()
      .notNull()
      .references(() => feeds.name, { onDelete: "cascade" }),
    net: cidr().notNull(),
    madeMs: ms().notNull(),
    madeBy: text().notNull(),
    note: text(),
  },
  (table) => [
    primaryKey({ columns: [table.feed, table.net] }),
    // Whether an entry shares an address with any of them, however many people lift at once.
    index().using("gist", table.net.op("inet_ops")),
  ],
);
