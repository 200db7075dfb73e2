import { chmodSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { giveToOwner } from "../give-to-owner.ts";
import type { Logger } from "../logger.ts";
import { additions, schema, schemaVersion } from "./schema.ts";

/** SQLite's result codes for a file that is no database, or a broken one. Source: sqlite.org/rescode.html. */
const brokenFileCodes = new Set([11, 26]);
const lockedCode = 5;
/** For whoever looks into the file beside the agent, as with the `sqlite3` command. */
const busyTimeoutMs = 2000;
/** Above the agent's own working set, far below its memory budget. */
const cacheKib = 1024;

const databaseName = "agent.db";

/**
 * Opens `agent.db`, the truth of one agent. Its journal survives `kill -9` at any point; see `durably` for a power cut.
 *
 * A damaged file is moved aside and a fresh one made: an agent without memory still protects, an agent that does not
 * start does not.
 *
 * @throws Fleet2banError `invalid` when a newer version wrote the file, `unavailable` when the directory is unusable
 */
export function openDatabase(stateDir: string, log: Logger): DatabaseSync {
  const path = join(stateDir, databaseName);
  try {
    return openChecked(path);
  } catch (cause) {
    if (!brokenFileCodes.has(sqliteCodeOf(cause))) throw asUnavailable(stateDir, cause);
    const aside = `${path}.damaged`;
    // Only the latest damaged file is kept, so a failing disk cannot fill itself with copies.
    for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    renameSync(path, aside);
    log.error(
      { path, aside, err: cause, event: "store_damaged" },
      "moved the damaged state file aside and started afresh; local bans and log positions in it are forgotten",
    );
    return openChecked(path);
  }
}

/**
 * Holds the state directory for this process; the operating system lets go when the process ends, however it ends.
 *
 * @throws Fleet2banError `unavailable` when another agent holds it
 */
export function lockStateDir(stateDir: string): Disposable {
  let lock: DatabaseSync | undefined;
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    chmodSync(stateDir, 0o700);
    lock = new DatabaseSync(join(stateDir, "agent.lock"));
    chmodSync(join(stateDir, "agent.lock"), 0o600);
    giveToOwner(join(stateDir, "agent.lock"));
    lock.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    lock?.close();
    if (sqliteCodeOf(cause) !== lockedCode) throw asUnavailable(stateDir, cause);
    throw new Fleet2banError(
      "unavailable",
      `refused: another fleet2ban agent is running with ${stateDir}; stop it first, or give this one its own state directory`,
      { cause },
    );
  }
  const held = lock;
  return { [Symbol.dispose]: () => held.close() };
}

/** All of `work` or nothing of it. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** The same, and on the disk when it returns: also a power cut cannot take it back. Costs one sync of the disk. */
export function durably<T>(database: DatabaseSync, work: () => T): T {
  database.exec("PRAGMA synchronous = FULL");
  try {
    return inTransaction(database, work);
  } finally {
    database.exec("PRAGMA synchronous = NORMAL");
  }
}

function openChecked(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
  try {
    chmodSync(path, 0o600);
    // Before its journal is made: SQLite gives that to the owner of the database.
    giveToOwner(path);
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${cacheKib}`);
    const check = database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
    if (check !== "ok") throw Object.assign(new Error(String(check)), { errcode: 11 });
    if (versionOf(database) === 0) {
      inTransaction(database, () => database.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`));
    }
    requireKnownVersion(database, path);
    database.exec(additions);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function requireKnownVersion(database: DatabaseSync, path: string): void {
  const version = versionOf(database);
  if (version === schemaVersion) return;
  throw new Fleet2banError(
    "invalid",
    `${path}: written by a newer fleet2ban agent (schema ${version}, this one knows ${schemaVersion}); ` +
      "install that version again, or move the file away to start afresh",
  );
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
}

function sqliteCodeOf(error: unknown): number {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  // The low byte is the primary code, the rest details.
  return typeof code === "number" ? code & 0xff : 0;
}

function asUnavailable(stateDir: string, cause: unknown): Fleet2banError {
  if (cause instanceof Fleet2banError) return cause;
  return new Fleet2banError(
    "unavailable",
    `state directory ${stateDir}: ${messageOf(cause)}; it must be writable and on a disk with free space; ` +
      "run as root, or name another one as stateDir in agent.yaml",
    { cause },
  );
}
