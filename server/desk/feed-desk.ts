import { dayMs, formatDurationMs, minuteMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { parseFeedSource } from "../domain/feed-source.ts";
import { canonical, writeAudit } from "../ingest/act.ts";
import { StaleError } from "../refusals.ts";
import { deleteException, type FeedFigures, feedFigures, listExceptions } from "../store/feed-entries.ts";
import { type FeedRow, findFeed, insertFeed, isInForce, listFeeds, markRemoved, updateFeed } from "../store/feeds.ts";
import { plainText } from "../store/plain-text.ts";
import type { Sql } from "../store/sql.ts";
import type { Desk } from "./desk.ts";
import { actOf, type DeskParts, etagOf, requireFleet, seenBy } from "./desk-parts.ts";
import type { FeedChange, FeedView } from "./feed-views.ts";
import { requireRole } from "./guard.ts";

/** More lists than anybody compares; each is fetched and judged by itself. */
const feedsMax = 20;
/** Publishers block whoever asks more often. */
const everyMsMin = 15 * minuteMs;
const everyMsMax = 7 * dayMs;
const ttlMsMax = 30 * dayMs;
/** Of one feed, and of all that are enforced: what a host's firewall takes within a second. */
const entriesMaxMax = 100_000;
const entriesOfAllMax = 200_000;
const liftedShown = 100;

type FeedVerbs = "feeds" | "feed" | "addFeed" | "changeFeed" | "removeFeed" | "refreshFeed" | "restoreFeedEntry";

/** Lists of others. All of it is the fleet's: they hold for everybody. */
export function feedDesk(parts: DeskParts): Pick<Desk, FeedVerbs> {
  const { store, now } = parts;
  const show = async (name: string): Promise<FeedView> => {
    const figures = (await feedFigures(store)).find((each) => each.feed === name);
    return showFeed(await named(store, name), figures, now());
  };
  const acts = () => {
    if (parts.feeds !== undefined) return parts.feeds;
    throw new Fleet2banError("unavailable", "feeds are looked after by the coordinator that leads; ask that one");
  };
  /** Many thousand bans take a while; whoever asked need not wait for them. */
  const settle = (): void => acts().settleSoon();
  return {
    async feeds(asker) {
      requireFleet(asker, "feeds");
      const figures = new Map((await feedFigures(store)).map((each) => [each.feed, each]));
      return (await listFeeds(store)).map((feed) => showFeed(feed, figures.get(feed.name), now()));
    },
    async feed(asker, name) {
      requireFleet(asker, "feeds");
      const lifted = await listExceptions(store, name, liftedShown);
      return {
        ...(await show(name)),
        lifted: lifted.map(({ net, madeMs, madeBy, note }) => ({ net, atMs: madeMs, by: madeBy, note })),
      };
    },
    async addFeed(asker, { name, ...request }, options) {
      requireFleet(asker, "feeds");
      const createdMs = now();
      // Nobody is banned by a list that nobody has looked at.
      const feed = { ...request, name, mode: "observe", createdMs, createdBy: asker.name } as const;
      check(feed, await listFeeds(store));
      if (options?.dryRun === true) return showFeed({ ...newRow, ...feed, dueMs: createdMs }, undefined, createdMs);
      await store.transaction(async (sql) => {
        await insertFeed(sql, { ...feed, note: plainText(feed.note) });
        const after = { source: feed.source, everyMs: feed.everyMs, ttlMs: feed.ttlMs };
        const act = actOf(asker, options?.reason ?? null);
        await writeAudit({ sql, nowMs: createdMs }, act, "add feed", name, { tenant: null, after });
      });
      await acts().refresh(name, false);
      return await show(name);
    },
    async changeFeed(asker, name, change, options) {
      requireFleet(asker, "feeds");
      const others = (await listFeeds(store)).filter((each) => each.name !== name);
      const dry = await store.transaction(async (sql) => {
        await sql.rows("select from feeds where name = $1 for update", [name]);
        const before = await named(sql, name);
        if (!seenBy(options)(stateOf(before))) throw new StaleError(`feed ${name}`);
        const after = { ...before, ...definedOf(change) };
        check(after, others);
        checkMode(before, after);
        if (options?.dryRun === true) return after;
        const said = change.note === undefined ? change : { ...change, note: plainText(change.note) };
        await updateFeed(sql, name, said, now());
        const act = actOf(asker, options?.reason ?? null);
        const changed = { before: stateOf(before), after: stateOf(after) };
        await writeAudit({ sql, nowMs: now() }, act, "change feed", name, { tenant: null, ...changed });
        return undefined;
      });
      if (dry !== undefined) return showFeed(dry, undefined, now());
      settle();
      if (change.source !== undefined) await acts().refresh(name, false);
      return await show(name);
    },
    async removeFeed(asker, name, options) {
      requireFleet(asker, "feeds");
      await named(store, name);
      if (options?.dryRun === true) return;
      await store.transaction(async (sql) => {
        const { source, mode } = await named(sql, name);
        await markRemoved(sql, name, now());
        const act = actOf(asker, options?.reason ?? null);
        await writeAudit({ sql, nowMs: now() }, act, "remove feed", name, { tenant: null, before: { source, mode } });
      });
      settle();
    },
    async refreshFeed(asker, name, acceptSize, options) {
      requireFleet(asker, "feeds");
      if (acceptSize) requireRole(asker, "admin");
      const { mode } = await named(store, name);
      if (mode === "off") throw new Fleet2banError("conflict", `feed ${name} is off; observe or enforce it first`);
      if (options?.dryRun === true) return await show(name);
      if (acceptSize) {
        const act = actOf(asker, options?.reason ?? null);
        await store.transaction((sql) =>
          writeAudit({ sql, nowMs: now() }, act, "accept feed", name, { tenant: null, after: { acceptSize } }),
        );
      }
      await acts().refresh(name, acceptSize);
      settle();
      return await show(name);
    },
    async restoreFeedEntry(asker, name, text, options) {
      requireFleet(asker, "feeds");
      const net = canonical(text);
      await named(store, name);
      const isThere = (await listExceptions(store, name, Number.MAX_SAFE_INTEGER)).some((each) => each.net === net);
      if (!isThere) throw new Fleet2banError("not_found", `nobody lifted ${net} of feed ${name}`);
      if (options?.dryRun === true) return;
      await store.transaction(async (sql) => {
        await deleteException(sql, name, net);
        const act = actOf(asker, options?.reason ?? null);
        await writeAudit({ sql, nowMs: now() }, act, "restore feed entry", net, {
          tenant: null,
          after: { feed: name },
        });
      });
      settle();
    },
  };
}

async function named(sql: Sql, name: string): Promise<FeedRow> {
  const found = await findFeed(sql, name);
  if (found === undefined || found.removedMs !== null) {
    throw new Fleet2banError("not_found", `there is no feed ${name}`);
  }
  return found;
}

type Checked = Pick<FeedRow, "name" | "source" | "mode" | "everyMs" | "ttlMs" | "entriesMax">;

/** @throws Fleet2banError `invalid` or `conflict`, naming the field and its bounds */
function check(feed: Checked, others: readonly FeedRow[]): void {
  const { source, everyMs, ttlMs, entriesMax, mode } = feed;
  const invalid = (what: string): Fleet2banError => new Fleet2banError("invalid", what);
  parseFeedSource(source);
  if (everyMs < everyMsMin || everyMs > everyMsMax) {
    throw invalid(`every: must be from ${formatDurationMs(everyMsMin)} to ${formatDurationMs(everyMsMax)}`);
  }
  if (ttlMs < 2 * everyMs || ttlMs > ttlMsMax) {
    const bounds = `from twice \`every\` (${formatDurationMs(2 * everyMs)}) to ${formatDurationMs(ttlMsMax)}`;
    throw invalid(`ttl: must be ${bounds}, so that one bad day does not end it`);
  }
  if (entriesMax < 1 || entriesMax > entriesMaxMax) throw invalid(`entriesMax: must be from 1 to ${entriesMaxMax}`);
  if (others.length >= feedsMax) throw new Fleet2banError("conflict", `there are ${feedsMax} feeds; remove one first`);
  if (mode !== "enforce") return;
  const taken = others.filter((each) => each.mode === "enforce").reduce((sum, each) => sum + each.entriesMax, 0);
  if (taken + entriesMax <= entriesOfAllMax) return;
  const sum = `the feeds in force may have ${taken} entries and this one ${entriesMax}`;
  throw new Fleet2banError("conflict", `${sum}, more than ${entriesOfAllMax} together; lower an \`entriesMax\``);
}

/** Nobody is banned by a list that nobody has seen. */
function checkMode(before: FeedRow, after: FeedRow): void {
  if (after.mode !== "enforce") return;
  const isNew = before.source !== after.source || before.goodMs === null;
  if (!isNew) return;
  const why = before.source === after.source ? "has not been fetched yet" : "would be another list";
  throw new Fleet2banError("conflict", `feed ${after.name} ${why}: observe it, look at what it lists, then enforce it`);
}

const stateOf = ({ source, mode, everyMs, ttlMs, entriesMax, note }: FeedRow) => ({
  ...{ source, mode, everyMs, ttlMs, entriesMax, note },
});

function definedOf(change: FeedChange): Partial<FeedRow> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

/** What no request says of a new one. */
const newRow = {
  ...{ triedMs: null, goodMs: null, changedMs: null, why: null, problem: null, etag: null, modified: null },
  ...{ report: null, pending: 0, removedMs: null },
};

function showFeed(feed: FeedRow, figures: FeedFigures | undefined, nowMs: number): FeedView {
  const { createdBy, removedMs, etag: _etag, modified: _modified, pending: _pending, ...shown } = feed;
  return {
    ...shown,
    by: createdBy,
    inForce: isInForce(feed, nowMs),
    entries: figures?.entries ?? 0,
    banned: figures?.banned ?? 0,
    exceptions: figures?.exceptions ?? 0,
    removing: removedMs !== null,
    etag: etagOf(stateOf(feed)),
  };
}
