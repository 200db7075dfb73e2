import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEvents } from "../../../server/events.ts";
import { type FeedKeeper, openFeedKeeper } from "../../../server/feeds/keeper.ts";
import { openLogger } from "../../../server/logger.ts";
import { type FeedRow, findFeed, insertFeed, type NewFeed } from "../../../server/store/feeds.ts";
import { dayMs, hourMs } from "../../../shared/durations.ts";
import { type Arena, openArena, startMs } from "../ingest/arena.ts";
import { type Answer, openPublisher, type Publisher } from "./publisher.ts";

/** A coordinator's database and judgement, a publisher, and the feed `drop` of it. */
export type FeedArena = AsyncDisposable &
  Readonly<{
    arena: Arena;
    publisher: Publisher;
    /** How long a download may take. */
    patience: { ms: number };
    keeper: FeedKeeper;
    /** A coordinator that looks after the feeds of the same database. */
    another(): Promise<FeedKeeper>;
    feed(name?: string): Promise<FeedRow>;
    add(feed: Partial<NewFeed>): Promise<FeedRow>;
    /** Nets that stand because of a feed. */
    banned(name?: string): Promise<readonly string[]>;
  }>;

const ofDrop: Omit<NewFeed, "source"> = {
  ...{ name: "drop", mode: "enforce", everyMs: hourMs, ttlMs: dayMs, entriesMax: 60_000 },
  ...{ note: "a test", createdMs: startMs, createdBy: "anna" },
};

export async function openFeedArena(answer: Answer, first: Partial<NewFeed> = {}): Promise<FeedArena> {
  const arena = await openArena();
  const publisher = await openPublisher(answer);
  const folder = mkdtempSync(join(tmpdir(), "f2b-feeds-"));
  const events = createEvents(openLogger("silent"), () => arena.nowMs);
  const patience = { ms: 60_000 };
  const another = () =>
    openFeedKeeper({
      ...{ store: arena.store, writer: arena.writer, events, folder, now: () => arena.nowMs },
      get timeoutMs() {
        return patience.ms;
      },
    });
  const add = (feed: Partial<NewFeed>) => insertFeed(arena.store, { ...ofDrop, source: publisher.url, ...feed });
  await add(first);
  const keeper = await another();
  return {
    ...{ arena, publisher, patience, keeper, another, add },
    async feed(name = "drop") {
      const found = await findFeed(arena.store, name);
      if (found === undefined) throw new Error(`no feed ${name}`);
      return found;
    },
    async banned(name = "drop") {
      const rows = await arena.store.rows<{ net: string }>(
        "select distinct net from bans where ended_ms is null and reason = 'feed ' || $1 order by net",
        [name],
      );
      return rows.map((row) => row.net);
    },
    async [Symbol.asyncDispose]() {
      await keeper[Symbol.asyncDispose]();
      await publisher[Symbol.asyncDispose]();
      await arena[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
