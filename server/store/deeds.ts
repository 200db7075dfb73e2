import type { Deed } from "../domain/judge.ts";
import { lastBanId } from "./bans.ts";
import type { OrderStretch } from "./orders.ts";
import { only, type Sql } from "./sql.ts";

/** What one turn of one coordinator did. `renew`: what the judges know has changed in a way that no fact describes. */
export type SharedDeed = Deed & Readonly<{ orders: readonly OrderStretch[]; renew: boolean }>;
export type PlacedDeed = Readonly<{ position: number; coordinator: number; deed: SharedDeed }>;

/** One of any two numbers that nobody else in the database uses. */
const sequencerLock = 7_312_004_222;
/** Of one answer; whoever is further behind asks again. */
const deedsMax = 1_000;

/** The deeds after `position`, oldest first. */
export async function deedsSince(sql: Sql, position: number): Promise<PlacedDeed[]> {
  return sql.rows<PlacedDeed>(
    "select position, coordinator, deed from deeds where position > $1 order by position limit $2",
    [position, deedsMax],
    "deeds-since",
  );
}

export async function lastDeed(sql: Sql): Promise<number> {
  return only(await sql.rows<{ position: number }>("select coalesce(max(position), 0) as position from deeds"))
    .position;
}

/**
 * Makes the caller the only one that numbers bans and orders until its transaction ends: whoever comes later sees
 * everything from before.
 *
 * @returns the greatest number of a ban
 */
export async function holdSequencer(sql: Sql): Promise<number> {
  await sql.rows("select pg_advisory_xact_lock($1)", [sequencerLock], "hold-sequencer");
  return lastBanId(sql);
}

/** Only for who holds the sequencer and has read all deeds up to `position - 1`. */
export async function insertDeed(sql: Sql, { position, coordinator, deed }: PlacedDeed): Promise<void> {
  await sql.rows(
    "insert into deeds (position, coordinator, at_ms, deed) values ($1, $2, $3, $4)",
    [position, coordinator, deed.atMs, JSON.stringify(deed)],
    "insert-deed",
  );
}

/**
 * Forgets what all deeds were about. Whoever has not followed them reads the tables anew, as after a deed that renews.
 * For who holds everything, so that nobody adds one meanwhile.
 */
export async function eraseDeeds(sql: Sql): Promise<void> {
  await sql.rows("delete from deeds where position < (select max(position) from deeds)");
  const nothing = { facts: [], decisions: [], orders: [], renew: true };
  await sql.rows("update deeds set deed = json_build_object('atMs', at_ms)::jsonb || $1::jsonb", [
    JSON.stringify(nothing),
  ]);
}

/** Forgets deeds from before, but never the last one: whoever missed any of them reads the tables anew. */
export async function pruneDeeds(sql: Sql, beforeMs: number): Promise<void> {
  await sql.rows("delete from deeds where at_ms < $1 and position < (select max(position) from deeds)", [beforeMs]);
}
