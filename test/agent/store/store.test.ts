import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import type { Logger } from "../../../agent/logger.ts";
import { openStore, type Store } from "../../../agent/store/open-store.ts";
import { Fleet2banError } from "../../../shared/errors.ts";

function stateDir(t: TestContext): { dir: string; open: () => Store; messages: string[] } {
  const parent = mkdtempSync(join(tmpdir(), "fleet2ban-store-"));
  const dir = join(parent, "state");
  const messages: string[] = [];
  const note = (_: object, message: string) => void messages.push(message);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  const opened: Store[] = [];
  t.after(() => {
    for (const store of opened) store[Symbol.dispose]();
    rmSync(parent, { recursive: true, force: true });
  });
  const open = () => {
    const store = openStore(dir, log);
    opened.push(store);
    return store;
  };
  return { dir, open, messages };
}

test("nobody else may read the state: the directory is 0700, the file 0600", (t) => {
  const { dir, open } = stateDir(t);
  open();
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(join(dir, "agent.db")).mode & 0o777, 0o600);
});

test("a second agent with the same state directory is refused, and may start when the first has ended", (t) => {
  const { open } = stateDir(t);
  const first = open();
  assert.throws(
    open,
    (error) => error instanceof Fleet2banError && /^refused: another fleet2ban agent/.test(error.message),
  );
  first[Symbol.dispose]();
  open();
});

test("a damaged file is moved aside with a sentence, and a fresh one made", (t) => {
  const { dir, open, messages } = stateDir(t);
  const store = open();
  store.orders.replace("fleet", { epoch: "1", revision: 7 }, []);
  store[Symbol.dispose]();
  writeFileSync(join(dir, "agent.db"), "not a database, but long enough to be looked at as if it were one".repeat(100));
  const fresh = open();
  assert.equal(fresh.orders.load(0).size, 0);
  assert.match(messages.join(), /moved the damaged state file aside/);
  assert.match(readFileSync(join(dir, "agent.db.damaged"), "utf8"), /not a database/);
});

test("a file with a damaged page is moved aside", (t) => {
  const { dir, open, messages } = stateDir(t);
  const store = open();
  const standing = Array.from({ length: 2000 }, (_, index) => {
    return { kind: "allow", id: index + 1, net: "192.0.2.1/32", untilMs: null } as const;
  });
  store.orders.replace("fleet", { epoch: "1", revision: 7 }, standing);
  store[Symbol.dispose]();
  const bytes = readFileSync(join(dir, "agent.db"));
  bytes.fill(0xff, 4096 * 12, 4096 * 14);
  writeFileSync(join(dir, "agent.db"), bytes);
  open();
  assert.equal(messages.length, 1);
});

test("a file of a newer version is refused and left as it is", (t) => {
  const { dir, open } = stateDir(t);
  open()[Symbol.dispose]();
  const database = new DatabaseSync(join(dir, "agent.db"));
  database.exec("PRAGMA user_version = 99");
  database.close();
  assert.throws(open, /written by a newer fleet2ban agent \(schema 99/);
  assert.ok(!existsSync(join(dir, "agent.db.damaged")));
});

test("an unusable state directory is named with the remedy", (t) => {
  const { dir, open } = stateDir(t);
  writeFileSync(dir, "a file where the directory should be");
  assert.throws(open, /state directory .*must be writable/);
});

test("positions come back as they were saved, each mark by itself", (t) => {
  const { open } = stateDir(t);
  const store = open();
  store.positions.saveSeen(new Map([["/var/log/a", [{ offset: 5 }]]]), 1);
  store.positions.saveKept(
    new Map<string, unknown>([
      ["/var/log/a", [{ offset: 3 }]],
      ["journal", "cursor"],
    ]),
    2,
  );
  store[Symbol.dispose]();
  assert.deepEqual(
    open().positions.load(),
    new Map<string, unknown>([
      ["/var/log/a", { kept: [{ offset: 3 }], seen: [{ offset: 5 }] }],
      ["journal", { kept: "cursor", seen: undefined }],
    ]),
  );
});

test("a batch survives a restart unchanged and blocks the next until it is acknowledged", (t) => {
  const { open } = stateDir(t);
  const first = open();
  const batch = { sequence: 1, payload: new Uint8Array([1, 2, 3]) };
  const positions = new Map([["/var/log/a", { offset: 9 }]]);
  const epoch = first.outbox.epoch();
  assert.equal(first.outbox.nextSequence(), 1);
  first.outbox.begin(batch, positions, 5);
  const second = { ...batch, sequence: 2 };
  assert.throws(() => first.outbox.begin(second, positions, 5), /before the last one was acknowledged/);
  first[Symbol.dispose]();

  const { outbox, positions: saved } = open();
  assert.equal(outbox.epoch(), epoch);
  assert.deepEqual(outbox.inFlight(), batch);
  assert.deepEqual(saved.load().get("/var/log/a"), { kept: { offset: 9 }, seen: undefined });
  assert.equal(outbox.acknowledge(2), false);
  assert.equal(outbox.acknowledge(1), true);
  assert.equal(outbox.acknowledge(1), false);
  assert.equal(outbox.inFlight(), undefined);
  assert.throws(() => outbox.begin(batch, positions, 5), /out of sequence/);
  outbox.begin(second, positions, 5);
});

test("a renewed epoch is another one, and what was in flight is its first batch", (t) => {
  const { open } = stateDir(t);
  const { outbox } = open();
  const before = outbox.epoch();
  for (const sequence of [1, 2]) {
    outbox.begin({ sequence, payload: new Uint8Array([sequence]) }, new Map(), 5);
    if (sequence === 1) outbox.acknowledge(1);
  }
  outbox.renew((epoch) => new TextEncoder().encode(epoch));
  const renewed = outbox.epoch();
  assert.notEqual(renewed, before);
  assert.deepEqual(outbox.inFlight(), { sequence: 1, payload: new Uint8Array(Buffer.from(renewed)) });
  assert.equal(outbox.nextSequence(), 2);
});

test("spooled batches survive a restart in their order, and leave the spool with the batch they become", (t) => {
  const { open } = stateDir(t);
  const first = open();
  const content = (byte: number) => new Uint8Array(10).fill(byte);
  const spool = (byte: number, id?: number) =>
    first.outbox.spool({ id, rows: byte, content: content(byte) }, new Map([["/var/log/a", byte]]), 5).id;
  const oldest = spool(1);
  const second = spool(2);
  spool(3);
  assert.equal(spool(4, second), second);
  assert.deepEqual(first.outbox.spoolState(), { rows: 8, bytes: 30 });
  first[Symbol.dispose]();

  const { outbox, positions } = open();
  assert.equal(positions.load().get("/var/log/a")?.kept, 4);
  assert.deepEqual(outbox.spoolState(), { rows: 8, bytes: 30 });
  assert.deepEqual(outbox.oldestSpooled(), { id: oldest, content: content(1) });
  outbox.begin({ sequence: 1, payload: content(1) }, new Map(), 5, oldest);
  assert.deepEqual(outbox.oldestSpooled(), { id: second, content: content(4) });
  assert.throws(() => outbox.begin({ sequence: 2, payload: content(4) }, new Map(), 5, second));
  assert.deepEqual(outbox.oldestSpooled()?.id, second);
  assert.deepEqual(outbox.spoolState(), { rows: 7, bytes: 20 });
});

test("batches that waited for more than a week are dropped, and the rows in them are told", (t) => {
  const { open } = stateDir(t);
  const { outbox } = open();
  const week = 7 * 86_400_000;
  const spool = (rows: number, nowMs: number) =>
    outbox.spool({ id: undefined, rows, content: new Uint8Array(9) }, new Map(), nowMs).droppedRows;
  assert.deepEqual([spool(3, 1), spool(4, 2), spool(5, week + 1), spool(6, week + 3)], [0, 0, 0, 7]);
});

test("an agent of before the spool kept positions beside its batch; they are taken over", (t) => {
  const { dir, open } = stateDir(t);
  open()[Symbol.dispose]();
  const database = new DatabaseSync(join(dir, "agent.db"));
  database.exec("DROP TABLE spool; UPDATE agent SET next_sequence = 8");
  database.prepare("INSERT INTO in_flight VALUES (7, ?, ?)").run(new Uint8Array([1]), JSON.stringify([["log", 70]]));
  database.close();
  const first = open();
  assert.equal(first.positions.load().get("log")?.kept, 70);
  first.outbox.spool({ id: undefined, rows: 1, content: new Uint8Array(9) }, new Map([["log", 71]]), 5);
  first[Symbol.dispose]();
  const { positions, outbox } = open();
  assert.deepEqual([positions.load().get("log")?.kept, outbox.inFlight()?.sequence], [71, 7]);
});
