import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { claim, disclaim, endPostgres, stopOrphan } from "./postgres-orphan.ts";
import {
  choosePostgresUser,
  findPostgres,
  type PostgresBinaries,
  type PostgresUser,
  spawnPostgres,
} from "./postgres-process.ts";

const databaseName = "fleet2ban";
const userName = "fleet2ban";
/** Recovery after a power cut replays the log since the last checkpoint: minutes on a slow disk, never hours. */
const readyMs = 5 * 60_000;
const readyPollMs = 25;
const backoffMsMin = 200;
const backoffMsMax = 10_000;
/**
 * Whoever kills a postmaster leaves its backends; they notice, but one in the middle of something not at once. Until the
 * last has ended, and the postmaster itself is gone, PostgreSQL does not start, rightly: two of them would destroy the files.
 */
const leftOverMs = 60_000;
const leftOverWords = /pre-existing shared memory block .* is still in use|lock file "postmaster.pid" already exists/;
/** A unix socket's path, with PostgreSQL's `/.s.PGSQL.5432`, must fit into 107 bytes. Source: unix(7). */
const socketFolderLengthMax = 107 - "/.s.PGSQL.5432".length;
/** Lines of PostgreSQL's own words kept for the error when it does not start. */
const lastLinesMax = 5;

const settingsDefault: Readonly<Record<string, string>> = {
  // Reachable through the socket in our own directory only: no port to find, to guess at or to collide on.
  listen_addresses: "",
  unix_socket_permissions: "0700",
  // Our pool's connections and an admin's psql.
  max_connections: "40",
  shared_buffers: "128MB",
  timezone: "UTC",
  // Our statements are short; compiling them costs more than it saves.
  jit: "off",
};

export type PostgresOptions = Readonly<{
  dataDir: string;
  log: Logger;
  /** PostgreSQL settings over ours; tests turn fsync off. */
  settings?: Readonly<Record<string, string>>;
}>;
export type Postgres = AsyncDisposable &
  Readonly<{
    url: string;
    /** The postmaster's process id; undefined while it is being started again. */
    pid(): number | undefined;
    stop(): Promise<void>;
  }>;

/**
 * Runs a real PostgreSQL in `dataDir/postgres` and keeps it running: when it dies it is started again with growing
 * pauses and recovers by itself. One left behind by a killed coordinator is stopped cleanly first.
 *
 * @throws Fleet2banError `unavailable` when it cannot be run, `conflict` when another coordinator uses the directory
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const folder = resolve(options.dataDir, "postgres");
  const cluster = join(folder, "cluster");
  mkdirSync(options.dataDir, { recursive: true });
  const binaries = findPostgres();
  const user = choosePostgresUser([binaries.postgres, folder]);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const orphan = await stopOrphan(folder, cluster);
  if (orphan !== undefined)
    options.log.warn({ pid: orphan }, "stopped the PostgreSQL a killed coordinator left behind");
  claim(folder);
  const password = readPassword(join(options.dataDir, "postgres-password"), existsSync(cluster));
  if (!existsSync(cluster)) await createCluster(binaries, user, folder, cluster, password);
  refuseOtherVersion(binaries, cluster);

  const sockets = socketFolder(folder, user);
  const settings = { ...settingsDefault, ...options.settings, unix_socket_directories: sockets };
  const args = ["-D", cluster, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const supervised = supervise(
    () => launch(binaries, args, user, options.log),
    urlOf(sockets, password, "postgres"),
    options.log,
  );
  const stop = async (): Promise<void> => {
    await supervised.stop();
    disclaim(folder);
    if (!sockets.startsWith(folder)) rmSync(sockets, { recursive: true, force: true });
  };
  try {
    await supervised.ready;
    await createDatabase(urlOf(sockets, password, "postgres"));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: urlOf(sockets, password, databaseName), pid: supervised.pid, stop, [Symbol.asyncDispose]: stop };
}

type Running = { child: ChildProcess; lastLines: string[]; exited: Promise<void>; isAlive: () => boolean };

function launch(binaries: PostgresBinaries, args: readonly string[], user: PostgresUser, log: Logger): Running {
  const child = spawnPostgres(binaries.postgres, args, user);
  const lastLines: string[] = [];
  let alive = true;
  const exited = new Promise<void>((done) => {
    const end = (): void => {
      alive = false;
      done();
    };
    child.once("exit", end);
    child.once("error", (error) => {
      lastLines.push(error.message);
      end();
    });
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n").filter((each) => each !== "")) {
        lastLines.push(line);
        if (lastLines.length > lastLinesMax) lastLines.shift();
        const isBad = /\b(FATAL|PANIC):/.test(line) && !line.includes("is starting up");
        log[isBad ? "warn" : "debug"]({ postgres: line }, "PostgreSQL said");
      }
    });
  }
  return { child, lastLines, exited, isAlive: () => alive };
}

/** Starts, watches and starts again. `ready` fails only when the very first start does. */
function supervise(start: () => Running, url: string, log: Logger) {
  const stopping = new AbortController();
  let running = start();
  const startFirst = async (): Promise<void> => {
    const deadlineMs = performance.now() + leftOverMs;
    for (;;) {
      try {
        return await waitUntilReady(running, url);
      } catch (error) {
        const isTaken = running.lastLines.some((line) => leftOverWords.test(line));
        if (!isTaken || performance.now() > deadlineMs) throw error;
        await sleep(backoffMsMin, undefined, { signal: stopping.signal });
        running = start();
      }
    }
  };
  const ready = startFirst();
  const watch = async (): Promise<void> => {
    await ready;
    let backoffMs = backoffMsMin;
    for (;;) {
      await running.exited;
      if (stopping.signal.aborted) return;
      log.error({ postgres: running.lastLines, backoffMs }, "PostgreSQL ended unexpectedly, starting it again");
      await sleep(backoffMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      running = start();
      try {
        await waitUntilReady(running, url);
        backoffMs = backoffMsMin;
        log.info({ pid: running.child.pid }, "PostgreSQL is running again");
      } catch (error) {
        backoffMs = Math.min(backoffMs * 2, backoffMsMax);
        log.error({ err: error }, "PostgreSQL did not start");
      }
    }
  };
  const watched = watch().catch(() => undefined);
  return {
    ready,
    pid: () => (running.isAlive() ? running.child.pid : undefined),
    stop: async (): Promise<void> => {
      stopping.abort();
      const { child, isAlive } = running;
      if (child.pid !== undefined) await endPostgres(child.pid, isAlive);
      await watched;
    },
  };
}

async function waitUntilReady(running: Running, url: string): Promise<void> {
  const deadline = performance.now() + readyMs;
  let cause: unknown;
  while (running.isAlive() && performance.now() < deadline) {
    try {
      await withClient(url, (client) => client.query("select 1"));
      return;
    } catch (error) {
      cause = error;
      await sleep(readyPollMs);
    }
  }
  if (running.child.pid !== undefined) await endPostgres(running.child.pid, running.isAlive);
  const said = running.lastLines.join(" / ");
  throw new Fleet2banError("unavailable", `the embedded PostgreSQL did not start: ${said}`, { cause });
}

/** Under another name first, so that a kill in the middle leaves nothing that looks like a database. */
async function createCluster(
  binaries: PostgresBinaries,
  user: PostgresUser,
  folder: string,
  cluster: string,
  password: string,
): Promise<void> {
  const unfinished = `${cluster}.new`;
  const passwordFile = join(folder, "initdb-password");
  rmSync(unfinished, { recursive: true, force: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) chownSync(passwordFile, user.uid, user.gid);
  try {
    const names = [`--pgdata=${unfinished}`, `--username=${userName}`, `--pwfile=${passwordFile}`];
    const args = [...names, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"];
    const child = spawnPostgres(binaries.initdb, args, user);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (said += text));
    const code = await new Promise<number | string | null>((done) => {
      child.once("error", (error) => done(error.message));
      child.once("close", done);
    });
    if (code !== 0) {
      const why = said.trim().split("\n").slice(-2).join(" / ");
      throw new Fleet2banError("unavailable", `${folder}: initdb could not make a database (${code}): ${why}`);
    }
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(unfinished, cluster);
}

function refuseOtherVersion(binaries: PostgresBinaries, cluster: string): void {
  const version = readFileSync(join(cluster, "PG_VERSION"), "utf8").trim();
  if (version === binaries.majorVersion) return;
  throw new Fleet2banError(
    "unavailable",
    `${cluster} was made by PostgreSQL ${version}, this one is ${binaries.majorVersion}: dump it with the old release and restore it with this one, or give --database-url`,
  );
}

/** Made with the cluster and kept beside it, readable by its owner only. */
function readPassword(file: string, isNeeded: boolean): string {
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  if (isNeeded) {
    throw new Fleet2banError("unavailable", `${file} is missing: restore it from the backup of the data directory`);
  }
  const password = randomBytes(24).toString("base64url");
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  return password;
}

function socketFolder(folder: string, user: PostgresUser): string {
  if (Buffer.byteLength(folder) <= socketFolderLengthMax) return folder;
  const short = join(tmpdir(), `fleet2ban-${randomBytes(8).toString("hex")}`);
  mkdirSync(short, { mode: 0o700 });
  chmodSync(short, 0o700);
  if (user !== undefined) chownSync(short, user.uid, user.gid);
  return short;
}

/** `host` as a parameter is how libpq's addresses name a socket's folder; pg understands the same. */
function urlOf(sockets: string, password: string, database: string): string {
  return `postgresql://${userName}:${password}@localhost/${database}?host=${encodeURIComponent(sockets)}`;
}

async function createDatabase(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [databaseName]);
    if (rowCount === 0) await client.query(`create database ${databaseName}`);
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
