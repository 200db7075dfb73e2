import { secondMs } from "../../shared/durations.ts";
import { reasonOfFeed } from "../domain/feed-ban.ts";
import { bansToLift, entriesToBan } from "../store/feed-entries.ts";
import { deleteFeed, findFeed, isInForce, noteSettled } from "../store/feeds.ts";
import type { JudgeWriter, Turn } from "./judge-writer.ts";

/** Bans of one turn: ingest and people wait for it. Measured: a thousand take a tenth of a second. */
const batch = 1000;

export type Followed = Readonly<{ banned: number; lifted: number; forbidden: number }>;

/**
 * Makes what a feed has banned what it lists, a turn after the other; may end anywhere and be called again.
 *
 * A ban of a feed lasts twice the feed's time to live after its last good list, and is made anew after half of that.
 * The coordinator itself ends it after that time; hosts that are cut off keep it once as long.
 */
export async function followFeed(writer: JudgeWriter, name: string): Promise<Followed | undefined> {
  const feed = await writer.read((sql) => findFeed(sql, name));
  if (feed === undefined) return undefined;
  const author = { by: reasonOfFeed(name), note: null };
  let lifted = 0;
  for (let after: number | null = 0; after !== null; ) {
    const from: number = after;
    const { result } = await writer.turn(author, (turn) => liftSome(turn, name, from));
    lifted += result.lifted;
    after = result.next;
  }
  let [banned, forbidden, number] = [0, 0, 0];
  for (let after: string | null | undefined; after !== null; number += 1) {
    const from: string | null = after ?? null;
    const spreadMs: number = number * secondMs;
    const { result } = await writer.turn(author, (turn) => banSome(turn, name, from, spreadMs));
    banned += result.banned;
    forbidden += result.forbidden;
    after = result.next;
  }
  await writer.read((sql) => noteSettled(sql, name, feed.pending));
  if (feed.removedMs !== null) await writer.read((sql) => deleteFeed(sql, name));
  return { banned, lifted, forbidden };
}

async function liftSome(
  turn: Turn,
  name: string,
  after: number,
): Promise<Readonly<{ lifted: number; next: number | null }>> {
  const feed = await findFeed(turn.sql, name);
  const inForce = feed !== undefined && isInForce(feed, turn.nowMs);
  const bans = await bansToLift(turn.sql, name, { after, isInForce: inForce, limit: batch });
  // Not a person's word: what the hosts ban by themselves goes on.
  for (const { id, net } of bans) turn.apply({ kind: "unban", net, scope: "fleet", reason: "expired", id });
  return { lifted: bans.length, next: bans.length < batch ? null : (bans.at(-1)?.id ?? null) };
}

/** @param spreadMs  batches that begin together do not end together: neither should their ends be one turn */
async function banSome(
  turn: Turn,
  name: string,
  after: string | null,
  spreadMs: number,
): Promise<Readonly<{ banned: number; forbidden: number; next: string | null }>> {
  const feed = await findFeed(turn.sql, name);
  if (feed === undefined || feed.goodMs === null || !isInForce(feed, turn.nowMs)) {
    return { banned: 0, forbidden: 0, next: null };
  }
  const { goodMs, ttlMs } = feed;
  const nets = await entriesToBan(turn.sql, name, { after, untilMs: goodMs + ttlMs, limit: batch });
  let banned = 0;
  for (const net of nets) {
    const { decisions } = turn.apply({ kind: "feed", feed: name, net, untilMs: goodMs + 2 * ttlMs + spreadMs });
    if (decisions.some((decision) => decision.kind === "ban")) banned += 1;
  }
  return { banned, forbidden: nets.length - banned, next: nets.length < batch ? null : (nets.at(-1) ?? null) };
}
