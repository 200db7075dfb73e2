import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { Fleet2banError } from "../../shared/errors.ts";
import type { BanHistory } from "./ban-history.ts";
import { netOf } from "./ban-registry.ts";
import type { StoredBan } from "./restore-ban.ts";

export type ImportedBan = StoredBan & Readonly<{ jail: string }>;
export type ImportedHistory = BanHistory & Readonly<{ jail: string; id: string }>;
/** How far fail2ban has read a log; `firstLineHash` tells whether it is still the same file. */
export type ImportedPosition = Readonly<{ jail: string; path: string; firstLineHash: string; offset: number }>;

export type Fail2banDatabase = Readonly<{
  /** Bans that have not ended. */
  bans: readonly ImportedBan[];
  histories: readonly ImportedHistory[];
  positions: readonly ImportedPosition[];
  /** Rows that could not be read: left out, the rest stands. */
  unreadable: number;
}>;

/** The layout of fail2ban 0.11 up to 1.1. */
const schemaVersion = 4;
/** More than any fail2ban survives: it was slow long before. */
const rowsMax = 500_000;
const linesMax = 10;
const lineLengthMax = 1024;

const text = z.string().max(4096);
const BanRow = z.object({
  ip: text.min(1),
  jail: text.min(1),
  timeofban: z.number(),
  bantime: z.number(),
  bancount: z.number(),
  data: z.unknown(),
});
const PositionRow = z.object({ jail: text, path: text, firstlinemd5: text, lastfilepos: z.number().nonnegative() });
const Data = z.object({ ip: z.string().optional(), matches: z.array(z.unknown()).optional() });

/**
 * Reads fail2ban's database: the standing bans, how often whom, and the positions in the logs. Nothing is written.
 *
 * @throws Fleet2banError `not_found` or `invalid` when it is no such database
 */
export function readFail2banDatabase(path: string, nowMs: number): Fail2banDatabase {
  using database = open(path);
  const rows = database.prepare(`SELECT * FROM bips ORDER BY timeofban DESC LIMIT ${rowsMax}`).all();
  const bans: ImportedBan[] = [];
  const histories: ImportedHistory[] = [];
  let unreadable = 0;
  for (const row of rows) {
    const parsed = BanRow.safeParse(row);
    if (!parsed.success) {
      unreadable += 1;
      continue;
    }
    const { ban, history } = banOfRow(parsed.data);
    histories.push(history);
    if (ban.untilMs === null || ban.untilMs > nowMs) bans.push(ban);
  }
  const positions = database.prepare(`SELECT * FROM logs LIMIT ${rowsMax}`).all();
  const readable = positions.map((row) => PositionRow.safeParse(row)).filter((row) => row.success);
  return {
    bans,
    histories,
    positions: readable.map(({ data }) => ({
      jail: data.jail,
      path: data.path,
      firstLineHash: data.firstlinemd5,
      offset: data.lastfilepos,
    })),
    unreadable: unreadable + positions.length - readable.length,
  };
}

function open(path: string): DatabaseSync {
  const refused = (why: string, cause?: unknown) =>
    new Fleet2banError(
      "invalid",
      `${path}: ${why}; name fail2ban's own file, usually /var/lib/fail2ban/fail2ban.sqlite3`,
      {
        cause,
      },
    );
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const version = database.prepare("SELECT version FROM fail2banDb LIMIT 1").get()?.version;
    if (version !== schemaVersion) throw refused(`its layout is version ${version}, we read version ${schemaVersion}`);
    return database;
  } catch (cause) {
    database?.close();
    throw cause instanceof Fleet2banError ? cause : refused("is not a fail2ban database or cannot be read", cause);
  }
}

function banOfRow(row: z.infer<typeof BanRow>): { ban: ImportedBan; history: ImportedHistory } {
  const { jail, ip: id } = row;
  const data = dataOf(row.data);
  const startMs = row.timeofban * 1000;
  // -1 = for ever. -2 = unknown, from a layout before bantimes were kept: then it is over.
  const banTimeMs = row.bantime === -1 ? null : Math.max(0, row.bantime) * 1000;
  const lines = (data?.matches ?? []).slice(-linesMax).map(lineOf);
  const net = netOf({ id, ip: data?.ip ?? null });
  const untilMs = banTimeMs === null ? null : startMs + banTimeMs;
  const bans = Math.max(1, Math.trunc(row.bancount));
  return {
    ban: { jail, id, net, startMs, untilMs, earlierBans: bans - 1, lines },
    history: { jail, id, bans, lastStartMs: startMs, lastBanTimeMs: banTimeMs },
  };
}

function dataOf(value: unknown): z.infer<typeof Data> | undefined {
  try {
    const json = typeof value === "string" ? value : value instanceof Uint8Array ? Buffer.from(value).toString() : "";
    return Data.safeParse(JSON.parse(json)).data;
  } catch {
    // Matches are only evidence; a ban without them is still a ban.
    return undefined;
  }
}

/** A match is a line, or its parts before, in and after the date. */
function lineOf(match: unknown): string {
  const whole = Array.isArray(match) ? match.join("") : String(match);
  return whole.slice(0, lineLengthMax);
}
