import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { pino } from "pino";
import { startPostgres } from "../../../server/embedded/postgres.ts";
import { Fleet2banError } from "../../../shared/errors.ts";

const log = pino({ level: "silent" });
const deadlineMs = 60_000;
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newDataDir(): string {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-postgres-"));
  chmodSync(folder, 0o711);
  folders.push(folder);
  return join(folder, "data");
}

async function ask<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function until<T>(question: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  while (performance.now() < deadline) {
    const answer = await question();
    if (answer !== undefined) return answer;
    await sleep(20);
  }
  throw new Error("waited too long");
}

/** A zombie, whose parent has not asked for it yet, is not running. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** A coordinator of which only the database part runs; prints its database's process id. */
function startOther(dataDir: string): ChildProcess {
  const module = join(import.meta.dirname, "../../../server/embedded/postgres.ts");
  const script = `
    import { startPostgres } from ${JSON.stringify(module)};
    const log = new Proxy({}, { get: () => () => undefined });
    const postgres = await startPostgres({ dataDir: ${JSON.stringify(dataDir)}, log });
    console.log(postgres.pid());
    setInterval(() => undefined, 1000);`;
  const flags = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script];
  return spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
}

test("keeps what was written over a stop and a start, and leaves nothing running", async () => {
  const dataDir = newDataDir();
  const first = await startPostgres({ dataDir, log });
  const pid = first.pid();
  await ask(first.url, "create table kept as select 42 as answer");
  await first.stop();
  assert.equal(first.pid(), undefined);
  assert.ok(pid !== undefined && !isRunning(pid));
  await using second = await startPostgres({ dataDir, log });
  assert.deepEqual(await ask(second.url, "select answer from kept"), [{ answer: 42 }]);
});

test("listens on no port, keeps its password to itself, flushes what it commits", async () => {
  const dataDir = newDataDir();
  await using postgres = await startPostgres({ dataDir, log });
  assert.deepEqual(
    await ask(postgres.url, "select current_setting('listen_addresses') as ports, current_setting('fsync') as fsync"),
    [{ ports: "", fsync: "on" }],
  );
  assert.equal(statSync(join(dataDir, "postgres-password")).mode & 0o777, 0o600);
  assert.equal(statSync(join(dataDir, "postgres/cluster")).mode & 0o077, 0);
  const wrong = new URL(postgres.url);
  wrong.password = "guessed";
  await assert.rejects(ask(wrong.href, "select 1"), /password authentication failed/);
});

test("starts again and recovers what was committed when it is killed", async () => {
  await using postgres = await startPostgres({ dataDir: newDataDir(), log });
  await ask(postgres.url, "create table kept as select 42 as answer");
  const killed = postgres.pid();
  assert.ok(killed !== undefined);
  process.kill(killed, "SIGKILL");
  const rows = await until(() => ask(postgres.url, "select answer from kept").catch(() => undefined));
  assert.deepEqual(rows, [{ answer: 42 }]);
  assert.notEqual(postgres.pid(), killed);
});

test("stops the database a killed coordinator left behind, cleanly, and takes over its data", async () => {
  const dataDir = newDataDir();
  const coordinator = startOther(dataDir);
  assert.ok(coordinator.stdout !== null);
  const [printed] = await once(coordinator.stdout.setEncoding("utf8"), "data");
  const orphan = Number(printed);
  coordinator.kill("SIGKILL");
  await once(coordinator, "exit");
  assert.ok(isRunning(orphan), "the orphan is still there");
  await using postgres = await startPostgres({ dataDir, log });
  assert.ok(!isRunning(orphan));
  assert.deepEqual(await ask(postgres.url, "select 1 as one"), [{ one: 1 }]);
});

test("waits for the last process of a killed database, and starts when that has ended", async () => {
  const dataDir = newDataDir();
  const coordinator = startOther(dataDir);
  assert.ok(coordinator.stdout !== null);
  const [printed] = await once(coordinator.stdout.setEncoding("utf8"), "data");
  const postmaster = Number(printed);
  const [left] = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, "utf8").split(" ").map(Number);
  assert.ok(left !== undefined && left > 1);
  process.kill(left, "SIGSTOP");
  coordinator.kill("SIGKILL");
  process.kill(postmaster, "SIGKILL");
  await once(coordinator, "exit");
  const said: string[] = [];
  const listening = pino({ level: "warn" }, { write: (line: string) => void said.push(line) });
  const starting = startPostgres({ dataDir, log: listening });
  try {
    await until(() => said.filter((line) => /still in use|already exists/.test(line)).length > 1 || undefined);
  } finally {
    process.kill(left, "SIGKILL");
  }
  await using postgres = await starting;
  assert.deepEqual(await ask(postgres.url, "select 1 as one"), [{ one: 1 }]);
});

test("refuses a data directory that a living coordinator uses, and leaves its database alone", async () => {
  const dataDir = newDataDir();
  await using first = await startPostgres({ dataDir, log });
  const second = startPostgres({ dataDir, log });
  await assert.rejects(second, (error) => error instanceof Fleet2banError && error.code === "conflict");
  assert.deepEqual(await ask(first.url, "select 1 as one"), [{ one: 1 }]);
});

test("works below a folder that only root may enter", { skip: process.getuid?.() !== 0 && "needs root" }, async () => {
  const dataDir = newDataDir();
  chmodSync(join(dataDir, ".."), 0o700);
  await using postgres = await startPostgres({ dataDir, log });
  assert.deepEqual(await ask(postgres.url, "select 1 as one"), [{ one: 1 }]);
});

test("works below a path too long for a socket", async () => {
  const dataDir = join(newDataDir(), "long".repeat(25));
  await using postgres = await startPostgres({ dataDir, log });
  assert.deepEqual(await ask(postgres.url, "select 1 as one"), [{ one: 1 }]);
});

test("starts over when a kill interrupted the making of the database", async () => {
  const dataDir = newDataDir();
  const first = await startPostgres({ dataDir, log });
  await first.stop();

  renameSync(join(dataDir, "postgres/cluster"), join(dataDir, "postgres/cluster.new"));
  await using second = await startPostgres({ dataDir, log });
  assert.deepEqual(await ask(second.url, "select 1 as one"), [{ one: 1 }]);
  assert.ok(!existsSync(join(dataDir, "postgres/cluster.new")));
});

test("says what to do when another major version made the data", async () => {
  const dataDir = newDataDir();
  const first = await startPostgres({ dataDir, log });
  await first.stop();
  writeFileSync(join(dataDir, "postgres/cluster/PG_VERSION"), "12\n");
  await assert.rejects(startPostgres({ dataDir, log }), /made by PostgreSQL 12.*dump it/);
});
