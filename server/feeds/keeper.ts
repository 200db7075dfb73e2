import { createHash } from "node:crypto";
import { formatNet } from "../../shared/address.ts";
import { formatDurationMs, minuteMs } from "../../shared/durations.ts";
import { type AcceptedList, type FeedGuard, judgeList } from "../domain/feed-judgement.ts";
import { parseFeedSource } from "../domain/feed-source.ts";
import { readNet } from "../domain/state.ts";
import type { Events } from "../events.ts";
import { writeAudit } from "../ingest/act.ts";
import { followFeed } from "../ingest/feed-acts.ts";
import type { JudgeWriter } from "../ingest/judge-writer.ts";
import { replaceEntries } from "../store/feed-entries.ts";
import {
  claimFeed,
  dueFeeds,
  type FeedRow,
  findFeed,
  isInForce,
  listFeeds,
  noteGood,
  noteProblem,
  unsettledFeeds,
} from "../store/feeds.ts";
import type { Store } from "../store/open-store.ts";
import { currentPolicy } from "../store/policies.ts";
import { standingRules } from "../store/rules.ts";
import { type Downloaded, download } from "./download.ts";

/** What broke is tried again before its next time, but nobody is asked like this who publishes once a day. */
const retryMs = 15 * minuteMs;

export type FeedKeeperParts = Readonly<{
  store: Store;
  writer: JudgeWriter;
  events: Pick<Events, "feedTried" | "log">;
  /** Where `file:NAME` is looked for. */
  folder: string;
  now: () => number;
  /** Tests trust authorities of their own. */
  ca?: string | undefined;
  timeoutMs?: number | undefined;
}>;

/** Fetches others' lists when they are due, judges them, and makes the fleet's bans follow. */
export type FeedKeeper = AsyncDisposable &
  Readonly<{
    /** Whatever is due by now. Call it again and again. */
    run(): Promise<void>;
    /**
     * Fetches one now, due or not.
     *
     * @param acceptSize  a person has looked at the list: it may have grown or shrunk as much as it likes
     */
    refresh(name: string, acceptSize: boolean): Promise<void>;
    /** Makes the bans follow what has changed; resolves when they do. */
    settle(): Promise<void>;
    /** The same, and whoever asks does not wait. */
    settleSoon(): void;
    /** Sentences about feeds that are not as they should be. */
    problems(): readonly string[];
  }>;

export async function openFeedKeeper(parts: FeedKeeperParts): Promise<FeedKeeper> {
  const { store, writer, events, now } = parts;
  const ending = new AbortController();
  const running = new Set<Promise<unknown>>();
  /** Two downloads of one feed at once would only race. */
  const fetching = new Map<string, Promise<void>>();
  let settling: Promise<void> = Promise.resolve();
  let problems: readonly string[] = [];

  const look = async (): Promise<void> => {
    const nowMs = now();
    problems = (await listFeeds(store)).flatMap((feed) => problemsOf(feed, nowMs));
  };
  const tracked = async <T>(work: Promise<T>): Promise<T> => {
    running.add(work);
    try {
      return await work;
    } finally {
      running.delete(work);
    }
  };

  const fetchOne = async (name: string, isDue: boolean, acceptSize: boolean): Promise<void> => {
    const feed = await claimFeed(store, name, { nowMs: now(), retryMs, isDue });
    if (feed === undefined) return;
    // Whoever accepts a size wants the list itself, not the word that it has not changed; and so do others' limits.
    const guard = await guardOf(store, feed);
    const isKnown = !acceptSize && feed.report?.guard === guard.name;
    const known = isKnown ? feed : { etag: null, modified: null };
    const { folder, ca, timeoutMs } = parts;
    const source = parseFeedSource(feed.source);
    const downloaded = await download(source, known, { folder, ca, timeoutMs, signal: ending.signal });
    if (downloaded.kind === "failed" && downloaded.why === "ended") return;
    await take(parts, feed, downloaded, { acceptSize, guard });
    await look();
  };
  const fetchAlone = (name: string, isDue: boolean, acceptSize: boolean): Promise<void> => {
    const before = fetching.get(name) ?? Promise.resolve();
    const work = before.catch(() => undefined).then(() => fetchOne(name, isDue, acceptSize));
    fetching.set(name, work);
    return tracked(work).finally(() => {
      if (fetching.get(name) === work) fetching.delete(name);
    });
  };
  const settleAll = async (): Promise<void> => {
    for (const name of await unsettledFeeds(store, now())) {
      if (ending.signal.aborted) return;
      const followed = await followFeed(writer, name);
      if (followed !== undefined && followed.banned + followed.lifted > 0) {
        events.log.info({ feed: name, ...followed, event: "feed_followed" }, "the fleet's bans follow a feed");
      }
    }
    await look();
  };
  const settle = (): Promise<void> => {
    const work = settling.catch(() => undefined).then(settleAll);
    settling = work;
    return tracked(work);
  };

  await look();
  return {
    async run() {
      // What was left undone first: a feed that was removed must not wait for others' downloads.
      await settle();
      for (const name of await dueFeeds(store, now())) {
        if (ending.signal.aborted) return;
        await fetchAlone(name, true, false);
      }
      await settle();
    },
    refresh: (name, acceptSize) => fetchAlone(name, false, acceptSize),
    settle,
    settleSoon() {
      settle().catch((error: unknown) => {
        events.log.error({ err: error, event: "feed_waits" }, "bans do not follow a feed yet; it is tried again soon");
      });
    },
    problems: () => problems,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.allSettled(running);
    },
  };
}

/** Judges what came and keeps it, or keeps what there was. */
async function take(
  { store, events, now }: FeedKeeperParts,
  feed: FeedRow,
  downloaded: Downloaded,
  { acceptSize, guard }: Readonly<{ acceptSize: boolean; guard: NamedGuard }>,
): Promise<void> {
  const { name } = feed;
  const nowMs = now();
  const refuse = async (why: string, sentence: string): Promise<void> => {
    await noteProblem(store, name, { why, sentence });
    events.feedTried(why);
    const fields = { feed: name, why, problem: sentence, event: "feed_refused" };
    events.log.warn(fields, "nothing was taken of a feed, its last good list is kept");
  };
  if (downloaded.kind === "failed") return await refuse(downloaded.why, downloaded.sentence);
  const { etag, modified } = downloaded;
  if (downloaded.kind === "unchanged") {
    await noteGood(store, name, { nowMs, etag, modified, report: null, isChanged: false });
    return events.feedTried("unchanged");
  }
  const lastListed = acceptSize ? null : (feed.report?.listed ?? null);
  const judged = judgeList(downloaded.text, guard, { entriesMax: feed.entriesMax, lastListed });
  if (judged.kind === "refused") return await refuse(judged.why, judged.sentence.replaceAll("NAME", name));
  const taken = await keep(store, feed, judged, { etag, modified, nowMs, guard: guard.name });
  if (taken === undefined) return;
  events.feedTried("taken");
  const fields = { feed: name, entries: judged.entries.length, ...taken, leftOut: judged.leftOut, event: "feed_taken" };
  events.log.info(fields, "took a feed's list");
}

/** @returns how many entries came and went; undefined when the feed is another one, or gone, by now */
async function keep(
  store: Store,
  feed: FeedRow,
  judged: AcceptedList,
  how: Readonly<{ etag: string | null; modified: string | null; nowMs: number; guard: string }>,
) {
  const { name, source } = feed;
  const { etag, modified, nowMs, guard } = how;
  return await store.transaction(async (sql) => {
    await sql.rows("select from feeds where name = $1 for update", [name]);
    const current = await findFeed(sql, name);
    if (current === undefined || current.removedMs !== null || current.source !== source) return undefined;
    const changed = await replaceEntries(sql, name, judged.entries.map(formatNet), nowMs);
    const { listed, badLines, leftOut, examples } = judged;
    const isChanged = changed.added + changed.removed > 0;
    const report = { listed, badLines, leftOut, examples, guard };
    await noteGood(sql, name, { nowMs, etag, modified, report, isChanged });
    if (isChanged) {
      const act = { by: `feed ${name}`, note: null };
      const after = { entries: judged.entries.length, ...changed, leftOut };
      await writeAudit({ sql, nowMs }, act, "take feed", name, { tenant: null, after });
    }
    return changed;
  });
}

type NamedGuard = FeedGuard & Readonly<{ name: string }>;

async function guardOf(store: Store, { entriesMax }: FeedRow): Promise<NamedGuard> {
  const { policy } = await currentPolicy(store);
  const rules = await standingRules(store);
  const netsOf = (kind: "allow" | "never") =>
    rules.filter((rule) => rule.kind === kind && rule.tenant === null).map((rule) => readNet(rule.net));
  const { reserved } = policy;
  const [nevers, allows, widest] = [netsOf("never"), netsOf("allow"), policy.limits.widestBan];
  const words = [[reserved, nevers, allows].map((nets) => nets.map(formatNet)), widest, entriesMax];
  const name = createHash("sha256").update(JSON.stringify(words)).digest("base64url");
  return { reserved, nevers, allows, widest, name };
}

/** What an operator must know of a feed: that its list is old, or gone, and why. */
function problemsOf(feed: FeedRow, nowMs: number): string[] {
  const { name, mode, goodMs, ttlMs, problem, removedMs } = feed;
  if (removedMs !== null || mode === "off") return [];
  const said = problem === null ? [] : [`feed ${name}: ${problem}`];
  if (goodMs === null) return said;
  const age = formatDurationMs(Math.max(0, nowMs - goodMs));
  if (mode === "enforce" && !isInForce(feed, nowMs)) {
    const ended = `its last good list is ${age} old, more than ${formatDurationMs(ttlMs)}: nothing is banned because of it`;
    return [`feed ${name}: ${ended}${problem === null ? "" : `; ${problem}`}`];
  }
  return said.map((sentence) => `${sentence} (its list of ${age} ago is kept)`);
}
