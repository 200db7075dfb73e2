import type { DatabaseSync } from "node:sqlite";
import { inTransaction } from "./database.ts";

/**
 * Up to where one log was read. A position is JSON that only `logs/` understands.
 *
 * `kept`: up to here every failure for the coordinator is written down in the outbox, or was committed by it; a restart
 * reads on from it.
 * `seen`: up to here this host's own jails have counted; lines before it are not counted by them again.
 */
export type SavedPosition = Readonly<{ kept: unknown; seen: unknown }>;

/** By source: a log file's path, or a name the caller chose for the journal. */
export type PositionsBySource = ReadonlyMap<string, unknown>;

export type PositionStore = Readonly<{
  /** Every source's saved position; a missing mark is undefined. */
  load(): Map<string, SavedPosition>;
  /** Call it when the failures of these lines are kept elsewhere: in the jails' windows, for `seen`. */
  saveSeen(positions: PositionsBySource, nowMs: number): void;
  /** Of a log that is new to the coordinator; from then on the outbox moves this mark. */
  saveKept(positions: PositionsBySource, nowMs: number): void;
  /** Forgets sources without news since then: log files whose names carry dates. */
  purge(beforeMs: number): void;
}>;

/** Sources remembered at most; the ones longest without news go first. Far above what one host's jails follow. */
export const positionsMax = 10_000;

export function openPositions(database: DatabaseSync): PositionStore {
  const all = database.prepare("SELECT source, acknowledged, seen FROM positions");
  const setSeen = database.prepare(
    "INSERT INTO positions (source, seen, saved_ms) VALUES (?1, ?2, ?3) " +
      "ON CONFLICT DO UPDATE SET seen = ?2, saved_ms = ?3",
  );
  const purgeOld = database.prepare("DELETE FROM positions WHERE saved_ms < ?");
  const purgeExcess = database.prepare(
    "DELETE FROM positions WHERE source IN (SELECT source FROM positions ORDER BY saved_ms DESC LIMIT -1 OFFSET ?)",
  );
  return {
    load: () => new Map([...all.iterate()].map((row) => [String(row.source), savedPosition(row)])),
    saveSeen: (positions, nowMs) =>
      inTransaction(database, () => {
        for (const [source, position] of positions) setSeen.run(source, JSON.stringify(position), nowMs);
      }),
    saveKept: (positions, nowMs) => inTransaction(database, () => writeKept(database, positions, nowMs)),
    purge: (beforeMs) =>
      inTransaction(database, () => {
        purgeOld.run(beforeMs);
        purgeExcess.run(positionsMax);
      }),
  };
}

/** To be called inside a transaction: the outbox moves these marks together with its own row. */
export function writeKept(database: DatabaseSync, positions: PositionsBySource, nowMs: number): void {
  const set = database.prepare(
    "INSERT INTO positions (source, acknowledged, saved_ms) VALUES (?1, ?2, ?3) " +
      "ON CONFLICT DO UPDATE SET acknowledged = ?2, saved_ms = ?3",
  );
  for (const [source, position] of positions) set.run(source, JSON.stringify(position), nowMs);
}

function savedPosition(row: Record<string, unknown>): SavedPosition {
  return { kept: parsed(row.acknowledged), seen: parsed(row.seen) };
}

function parsed(json: unknown): unknown {
  return typeof json === "string" ? JSON.parse(json) : undefined;
}
