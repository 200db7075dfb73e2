import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { z } from "zod";
import { formatNet, parseNet } from "../../shared/address.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { type CopyParts, copyIn } from "./copy-in.ts";
import { keepalives } from "./seat.ts";
import { hasState, isDown, type Sql, storeError } from "./sql.ts";

/** People's reads that a migration can get stuck with are short; each try meets others. */
const migrateTriesMax = 10;
/** Source: PostgreSQL manual, appendix A. */
const deadlockDetected = "40P01";
/** Two turns of the writer, a few readers for API and dashboard; an embedded PostgreSQL allows 40 connections. */
const connectionsMax = 10;
const connectMs = 5_000;
/** A statement that runs longer hangs on a lock or a missing index; ingest waits behind it. */
const statementMs = 60_000;
/**
 * A coordinator that is frozen in the middle of a transaction holds what its successor waits for: the database then ends
 * it. Longer than rebuilding the judgement of a million failures takes, which happens inside one.
 */
const idleInTransactionMs = 30_000;
const retryMs = 250;
/** Two coordinators that start at once must not both migrate; any number that nobody else in the database uses. */
const migrationLock = 7_312_004_221;

export type StoreOptions = Readonly<{
  url: string;
  log: Logger;
  /** How long to wait for a database that is down before giving up. */
  patienceMs?: number;
  /** Folder with the generated migrations; tests may give their own. */
  migrations?: string;
}>;

export type Store = Sql &
  AsyncDisposable &
  Readonly<{
    /** All of `work` or nothing of it. */
    transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
    /** Answers only when the database really does. */
    ping(): Promise<void>;
    close(): Promise<void>;
  }>;

/**
 * Connects, waits for a database that is still starting, and brings its schema up to date.
 *
 * @throws Fleet2banError `unavailable` when it stays away, refuses us, or was made by a newer release
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: connectionsMax,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    application_name: "fleet2ban",
    options: keepalives,
    types: { getTypeParser },
  });
  pool.on("error", (error) => options.log.warn({ reason: error.message }, "lost an idle database connection"));
  try {
    await waitForDatabase(pool, options);
    await bringUpToDate(pool, options.migrations ?? findMigrations());
  } catch (error) {
    await pool.end();
    throw error;
  }
  const close = async (): Promise<void> => {
    if (!pool.ended && !pool.ending) await pool.end();
  };
  return {
    ...sqlOn(pool),
    transaction: (work) => inTransaction(pool, work),
    ping: async () => {
      await sqlOn(pool).rows("select 1");
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function sqlOn(client: pg.Pool | pg.PoolClient): Sql {
  return {
    db: drizzle({ client, casing: "snake_case" }),
    rows: async <Row extends object>(text: string, values: readonly unknown[] = [], name?: string): Promise<Row[]> => {
      try {
        const result = await client.query<Row>({ text, values: [...values], ...(name === undefined ? {} : { name }) });
        return result.rows;
      } catch (error) {
        throw storeError(error);
      }
    },
    copyIn: async (text, parts) => {
      try {
        await (client instanceof pg.Pool ? copyOnItsOwn(client, text, parts) : copyIn(client, text, parts));
      } catch (error) {
        throw storeError(error);
      }
    },
  };
}

async function copyOnItsOwn(pool: pg.Pool, text: string, parts: CopyParts): Promise<void> {
  const client = await pool.connect();
  // A connection that dies while we write to it says so here as well; the copy fails and is handled there.
  const ignore = (): void => undefined;
  client.on("error", ignore);
  let broken = true;
  try {
    await copyIn(client, text, parts);
    broken = false;
  } finally {
    // A broken one is thrown away and may still complain.
    if (!broken) client.off("error", ignore);
    client.release(broken);
  }
}

async function inTransaction<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  let client: pg.PoolClient;
  try {
    client = await pool.connect();
  } catch (error) {
    throw storeError(error);
  }
  // A connection that dies between two statements says so here; the next statement fails and is handled there.
  const ignore = (): void => undefined;
  client.on("error", ignore);
  let broken: Error | undefined;
  try {
    await client.query("begin");
    const result = await work(sqlOn(client));
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch((failure: unknown) => {
      broken = failure instanceof Error ? failure : new Error(String(failure));
    });
    throw storeError(error);
  } finally {
    if (broken === undefined) client.off("error", ignore);
    client.release(broken);
  }
}

async function waitForDatabase(pool: pg.Pool, { url, log, patienceMs = 30_000 }: StoreOptions): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await pool.query("select 1");
      return;
    } catch (cause) {
      const place = new URL(url);
      const where = `${place.searchParams.get("host") ?? place.host}${place.pathname}`;
      if (!isDown(cause) || performance.now() > deadline) {
        throw new Fleet2banError(
          "unavailable",
          `the database ${where} cannot be used: ${messageOf(cause)}; check --database-url and that PostgreSQL is running`,
          { cause },
        );
      }
      if (attempt === 1) log.warn({ database: where }, "the database is not there yet, waiting for it");
      await sleep(retryMs);
    }
  }
}

const Journal = z.object({ entries: z.array(z.object({ when: z.int() })) });

async function bringUpToDate(pool: pg.Pool, folder: string): Promise<void> {
  const journal = Journal.parse(JSON.parse(readFileSync(join(folder, "meta/_journal.json"), "utf8")));
  const newest = Math.max(...journal.entries.map((entry) => entry.when));
  const client = await pool.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    const found = await client.query<{ exists: boolean }>(
      "select to_regclass('drizzle.__drizzle_migrations') is not null as exists",
    );
    const isNew = found.rows[0]?.exists !== true;
    let isUpToDate = false;
    if (!isNew) {
      const applied = await client.query<{ newest: number | null }>(
        "select max(created_at) as newest from drizzle.__drizzle_migrations",
      );
      const has = applied.rows[0]?.newest ?? 0;
      isUpToDate = has === newest;
      if (has > newest) {
        throw new Fleet2banError(
          "unavailable",
          "the database was made by a newer release of fleet2ban; run that release, or restore a backup from before the upgrade",
        );
      }
    }
    if (!isUpToDate) await migrateAlone(client, folder, isNew);
    await client.query("select pg_advisory_unlock($1)", [migrationLock]);
    client.release();
  } catch (error) {
    // Closing the connection also gives the lock back.
    client.release(true);
    throw error;
  }
}

/**
 * Other coordinators may be at work. A turn begins by locking its partitions, so whoever holds that table meets none in
 * the middle of one; with people's reads it can still get stuck, and then the database ends one of the two.
 */
async function migrateAlone(client: pg.PoolClient, migrationsFolder: string, isNew: boolean): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      // drizzle's own transaction joins this one, and its commit or rollback ends it.
      await client.query("begin");
      if (!isNew) await client.query("lock table partitions in exclusive mode");
      await migrate(drizzle({ client }), { migrationsFolder });
      await client.query("commit");
      return;
    } catch (error) {
      await client.query("rollback");
      if (!hasState(error, deadlockDetected) || tries === migrateTriesMax) throw error;
    }
  }
}

/** Beside the sources in a checkout, beside the bundle when installed. */
function findMigrations(): string {
  const places = [join(import.meta.dirname, "../../migrations"), join(import.meta.dirname, "migrations")];
  const found = places.find((place) => existsSync(join(place, "meta/_journal.json")));
  if (found === undefined) {
    throw new Fleet2banError(
      "unavailable",
      `the folder "migrations" is missing beside ${import.meta.dirname}; reinstall`,
    );
  }
  return found;
}

/**
 * bigint columns hold milliseconds, revisions and ids, all far below 2^53: numbers, not pg's strings. PostgreSQL writes
 * networks as we do, except those in ::/96, whose ends it writes as IPv4.
 */
function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  if (format === "binary") return pg.types.getTypeParser(oid, format);
  if (oid === pg.types.builtins.INT8) return Number;
  if (oid === pg.types.builtins.CIDR) return canonicalNet;
  return pg.types.getTypeParser(oid, "text");
}

function canonicalNet(text: string): string {
  const parsed = text.startsWith("::") && text.includes(".") ? parseNet(text) : undefined;
  return parsed === undefined ? text : formatNet(parsed);
}
