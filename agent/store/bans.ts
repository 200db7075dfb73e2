import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import * as shape from "../../shared/shape.ts";
import { inTransaction } from "./database.ts";

/** A ban this host's own jail made. One jail bans an id once; another ban of it replaces the first. */
export type StoredBan = Readonly<{
  jail: string;
  /** fail2ban's failure id: mostly the address itself. */
  id: string;
  /** null when the id is no address: then no firewall holds it. */
  net: string | null;
  /** null = every port; none at all = the jail's bans stop no packets. */
  ports: readonly number[] | null;
  startMs: number;
  /** null = for ever. */
  untilMs: number | null;
  /** Bans of this id in this jail before this one. */
  earlierBans: number;
  /** The log lines behind it, at most `banLinesMax`. */
  lines: readonly string[];
}>;

/** What `bantime.increment` asks for. `banTimeMs` null = the last ban was for ever. */
export type BanHistory = Readonly<{ bans: number; lastStartMs: number; lastBanTimeMs: number | null }>;

export type BanStore = Readonly<{
  /** Adds bans, each counted in the history, in one transaction. */
  record(bans: readonly StoredBan[]): void;
  /** Moves the end of a standing ban (`untilMs` null = for ever); the history follows. False when it does not stand. */
  prolong(jail: string, id: string, untilMs: number | null): boolean;
  /** Ends a ban whose time is over. The history keeps it. */
  lift(jail: string, id: string): void;
  /** Ends a ban that a person lifted: as in fail2ban the history goes too, so the next one is not a repeat. */
  forget(jail: string, id: string): void;
  /** Takes over what fail2ban remembered; what is known here already stays. */
  importHistory(histories: Iterable<BanHistory & Readonly<{ jail: string; id: string }>>): void;
  /** Bans that have not ended at `nowMs`, oldest first. */
  standing(nowMs: number): StoredBan[];
  historyInJail(jail: string, id: string): BanHistory | undefined;
  /** Summed over the jails (`bantime.overalljails`). */
  historyOverall(id: string): BanHistory | undefined;
  /** Drops what ended before `nowMs`, histories that no longer count, and the oldest beyond the limits. */
  purge(nowMs: number): void;
}>;

/** As fail2ban's `dbmaxmatches`. */
export const banLinesMax = 10;
/** A line is evidence for a person, not an archive. */
export const banLineLengthMax = 1024;
/** What one host can ban and keep: a burst of every address of a large botnet. About 20 MB. */
export const standingBansMax = 100_000;
export const historiesMax = 200_000;
/** A history counts for three times its ban and a day, as fail2ban's does (`dbpurgeage`). */
const historyFactor = 3;
const historyExtraMs = 86_400_000;

const Ports = shape.nullable(shape.array(shape.number()));
const Lines = shape.array(shape.string());

export function openBans(database: DatabaseSync): BanStore {
  const insert = database.prepare("INSERT OR REPLACE INTO bans VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  const count = database.prepare(
    "INSERT INTO ban_history (id, jail, bans, start_ms, ban_time_ms, forget_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6) " +
      "ON CONFLICT DO UPDATE SET bans = max(bans + 1, ?3), start_ms = ?4, ban_time_ms = ?5, forget_ms = ?6",
  );
  const find = database.prepare("SELECT start_ms FROM bans WHERE jail = ? AND id = ?");
  const setEnd = database.prepare("UPDATE bans SET until_ms = ? WHERE jail = ? AND id = ?");
  const setBanTime = database.prepare(
    "UPDATE ban_history SET ban_time_ms = ?, forget_ms = ? WHERE id = ? AND jail = ?",
  );
  const lift = database.prepare("DELETE FROM bans WHERE jail = ? AND id = ?");
  const forget = database.prepare("DELETE FROM ban_history WHERE jail = ? AND id = ?");
  const importOne = database.prepare("INSERT OR IGNORE INTO ban_history VALUES (?, ?, ?, ?, ?, ?)");
  const standing = database.prepare(
    "SELECT * FROM bans WHERE until_ms IS NULL OR until_ms > ? ORDER BY start_ms, jail, id",
  );
  const inJail = database.prepare("SELECT bans, start_ms, ban_time_ms FROM ban_history WHERE id = ? AND jail = ?");
  // SQLite takes the bare column from the row that has the maximum. Source: sqlite.org/lang_select.html#bareagg.
  const overall = database.prepare(
    "SELECT sum(bans) AS bans, max(start_ms) AS start_ms, ban_time_ms FROM ban_history WHERE id = ? GROUP BY id",
  );

  return {
    record: (bans) =>
      inTransaction(database, () => {
        for (const ban of bans) {
          const lines = ban.lines.slice(-banLinesMax).map((line) => line.slice(0, banLineLengthMax));
          const ports = ban.ports === null ? null : JSON.stringify(ban.ports);
          const banTimeMs = ban.untilMs === null ? null : ban.untilMs - ban.startMs;
          insert.run(
            ban.jail,
            ban.id,
            ban.net,
            ports,
            ban.startMs,
            ban.untilMs,
            ban.earlierBans,
            JSON.stringify(lines),
          );
          count.run(ban.id, ban.jail, ban.earlierBans + 1, ban.startMs, banTimeMs, forgetMsOf(ban.startMs, banTimeMs));
        }
      }),
    prolong: (jail, id, untilMs) =>
      inTransaction(database, () => {
        const startMs = find.get(jail, id)?.start_ms;
        if (startMs === undefined) return false;
        const banTimeMs = untilMs === null ? null : untilMs - Number(startMs);
        setEnd.run(untilMs, jail, id);
        setBanTime.run(banTimeMs, forgetMsOf(Number(startMs), banTimeMs), id, jail);
        return true;
      }),
    lift: (jail, id) => void lift.run(jail, id),
    forget: (jail, id) =>
      inTransaction(database, () => {
        lift.run(jail, id);
        forget.run(jail, id);
      }),
    importHistory: (histories) =>
      inTransaction(database, () => {
        for (const { jail, id, bans, lastStartMs, lastBanTimeMs } of histories) {
          const forgetMs = forgetMsOf(lastStartMs, lastBanTimeMs);
          importOne.run(id, jail, bans, lastStartMs, lastBanTimeMs, forgetMs);
        }
      }),
    standing: (nowMs) => [...standing.iterate(nowMs)].map(banOf),
    historyInJail: (jail, id) => historyOf(inJail.get(id, jail)),
    historyOverall: (id) => historyOf(overall.get(id)),
    purge: (nowMs) =>
      inTransaction(database, () => {
        const run = (sql: string, value: SQLInputValue) => database.prepare(sql).run(value);
        run("DELETE FROM bans WHERE until_ms <= ?", nowMs);
        run("DELETE FROM ban_history WHERE forget_ms <= ?", nowMs);
        run(
          "DELETE FROM bans WHERE (jail, id) IN (SELECT jail, id FROM bans ORDER BY start_ms DESC LIMIT -1 OFFSET ?)",
          standingBansMax,
        );
        run(
          "DELETE FROM ban_history WHERE (id, jail) IN " +
            "(SELECT id, jail FROM ban_history ORDER BY start_ms DESC LIMIT -1 OFFSET ?)",
          historiesMax,
        );
      }),
  };
}

function forgetMsOf(startMs: number, banTimeMs: number | null): number | null {
  return banTimeMs === null ? null : startMs + banTimeMs * historyFactor + historyExtraMs;
}

function banOf(row: Record<string, unknown>): StoredBan {
  return {
    jail: String(row.jail),
    id: String(row.id),
    net: row.net === null ? null : String(row.net),
    ports: row.ports === null ? null : Ports.parse(JSON.parse(String(row.ports))),
    startMs: Number(row.start_ms),
    untilMs: numberOrNull(row.until_ms),
    earlierBans: Number(row.earlier_bans),
    lines: Lines.parse(JSON.parse(String(row.lines))),
  };
}

function historyOf(row: Record<string, unknown> | undefined): BanHistory | undefined {
  if (row === undefined) return undefined;
  return {
    bans: Number(row.bans),
    lastStartMs: Number(row.start_ms),
    lastBanTimeMs: numberOrNull(row.ban_time_ms),
  };
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value);
}
