import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { openStore } from "../../../server/store/open-store.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { freshDatabaseUrl, freshStore } from "../../support/database.ts";

const log = pino({ level: "silent" });
const migrations = join(import.meta.dirname, "../../../migrations");
const isUnavailable = (pattern: RegExp) => (error: unknown) =>
  error instanceof Fleet2banError && error.code === "unavailable" && pattern.test(error.message);

test("opens an empty database with the newest schema, and again without change", async () => {
  const url = await freshDatabaseUrl();
  for (const _start of [1, 2]) {
    await using store = await openStore({ url, log });
    assert.deepEqual(await store.rows("select count(*) as hosts from hosts"), [{ hosts: 0 }]);
  }
});

test("two coordinators that start at once bring up one schema", async () => {
  const url = await freshDatabaseUrl();
  const stores = await Promise.all([1, 2, 3].map(() => openStore({ url, log })));
  for (const store of stores) {
    await store.ping();
    await store.close();
  }
});

test("refuses a database that a newer release has made", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-migrations-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(migrations, folder, { recursive: true });
  const file = join(folder, "meta/_journal.json");
  const journal = JSON.parse(readFileSync(file, "utf8"));
  const last = journal.entries.at(-1);
  journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: "9999_newer" });
  writeFileSync(file, JSON.stringify(journal));
  writeFileSync(join(folder, "9999_newer.sql"), "create table from_the_future (id integer)");
  const url = await freshDatabaseUrl();
  await (await openStore({ url, log, migrations: folder })).close();
  await assert.rejects(openStore({ url, log }), isUnavailable(/newer release/));
});

test("says which database is away and what to check", async () => {
  const url = "postgresql://nobody:secret@127.0.0.1:1/fleet2ban";
  const error = await openStore({ url, log, patienceMs: 0 }).catch((each: unknown) => each);
  assert.ok(isUnavailable(/127\.0\.0\.1:1\/fleet2ban.*--database-url/)(error));
  assert.ok(error instanceof Error && !error.message.includes("secret"));
});

test("does not wait for a database that refuses us", async () => {
  const url = new URL(await freshDatabaseUrl());
  url.password = "wrong";
  await assert.rejects(openStore({ url: url.href, log, patienceMs: 3_600_000 }), isUnavailable(/password/));
});

test("waits for a database that comes up", async () => {
  const url = new URL(await freshDatabaseUrl());
  const socket = join(url.searchParams.get("host") ?? "", ".s.PGSQL.5432");
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-wait-"));
  url.searchParams.set("host", folder);
  const relay = createServer((client) => {
    const server = connect(socket);
    client.pipe(server).pipe(client);
    for (const each of [client, server]) each.on("error", () => undefined);
  });
  let isWaiting = (): void => undefined;
  const waiting = new Promise<void>((done) => {
    isWaiting = done;
  });
  const noticing = pino({ level: "warn" }, { write: () => isWaiting() });
  const opening = openStore({ url: url.href, log: noticing, patienceMs: 60_000 });
  await waiting;
  relay.listen(join(folder, ".s.PGSQL.5432"));
  const store = await opening;
  await store.ping();
  await store.close();
  relay.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a transaction that fails leaves nothing", async () => {
  await using store = await freshStore();
  const failing = store.transaction(async (sql) => {
    await sql.rows("insert into meta (key, value) values ('a', '1')");
    throw new Error("changed my mind");
  });
  await assert.rejects(failing, /changed my mind/);
  assert.deepEqual(await store.rows("select * from meta"), []);
});

test("a statement on a dead connection is unavailable, and the next one works", async () => {
  await using store = await freshStore();
  const suicide = store.rows("select pg_terminate_backend(pg_backend_pid())");
  await assert.rejects(suicide, isUnavailable(/cannot be reached/));
  await store.ping();
});
