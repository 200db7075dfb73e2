import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { readFail2banDatabase } from "../../../agent/jails/import-fail2ban-database.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";

const directory = mkdtempSync(join(tmpdir(), "fleet2ban-import-"));
after(() => rmSync(directory, { recursive: true }));
const nowMs = 1_763_800_000_000;
const now = nowMs / 1000;

/** A database of fail2ban's layout with these rows of `bips`: ip, jail, timeofban, bantime, bancount, data. */
function databaseWith(name: string, version: number, rows: readonly (string | number | null)[][] = []): string {
  const path = join(directory, name);
  using database = new DatabaseSync(path);
  database.exec("CREATE TABLE fail2banDb(version INTEGER)");
  database.exec("CREATE TABLE bips(ip, jail, timeofban, bantime, bancount, data)");
  database.exec("CREATE TABLE logs(jail, path, firstlinemd5, lastfilepos)");
  database.prepare("INSERT INTO fail2banDb VALUES (?)").run(version);
  const insert = database.prepare("INSERT INTO bips VALUES (?, ?, ?, ?, ?, ?)");
  for (const row of rows) insert.run(...row);
  return path;
}

test("reads standing bans and every history", () => {
  const path = databaseWith("rows", 4, [
    ["192.0.2.1", "sshd", now - 100, 600, 3, '{"matches":["one",["two ","now"," end"]],"failures":5}'],
    ["192.0.2.2", "sshd", now - 600, 600, 1, "{}"],
    ["192.0.2.3", "sshd", now - 9999, -1, 1, "not json"],
    ["root", "mail", now, 60, 1, '{"ip":"192.0.2.4"}'],
    [null, "sshd", now, 60, 1, "{}"],
    ["192.0.2.5", "sshd", "soon", 60, 1, "{}"],
  ]);
  const found = readFail2banDatabase(path, nowMs);
  assert.deepEqual(
    found.bans.map(({ id, net, untilMs, earlierBans, lines }) => [id, net, untilMs, earlierBans, lines]),
    [
      ["root", "192.0.2.4", nowMs + 60_000, 0, []],
      ["192.0.2.1", "192.0.2.1", nowMs + 500_000, 2, ["one", "two now end"]],
      ["192.0.2.3", "192.0.2.3", null, 0, []],
    ],
  );
  assert.deepEqual(
    found.histories.map(({ id, bans }) => [id, bans]),
    [
      ["root", 1],
      ["192.0.2.1", 3],
      ["192.0.2.2", 1],
      ["192.0.2.3", 1],
    ],
  );
  assert.equal(found.unreadable, 2);
});

test("refuses what is not fail2ban's database of version 4, and says which file to name", () => {
  const expected = /fail2ban\.sqlite3/;
  assert.throws(() => readFail2banDatabase(join(directory, "none"), nowMs), expected);
  assert.throws(() => readFail2banDatabase(databaseWith("old", 2), nowMs), /version 2/);
  writeFileSync(join(directory, "text"), "hello");
  assert.throws(() => readFail2banDatabase(join(directory, "text"), nowMs), expected);
});

const writer = `
import json, sys
path = json.load(sys.stdin)
from fail2ban.server.mytime import MyTime
from fail2ban.server.database import Fail2BanDb
from fail2ban.server.jail import Jail
from fail2ban.server.filter import FileContainer
from fail2ban.server.ticket import FailTicket
MyTime.setTime(${now})
database = Fail2BanDb(path)
jail = Jail("sshd", backend="polling", db=database)
database.addJail(jail)
ticket = FailTicket("192.0.2.1", ${now}, matches=["first line", ("a ", "date", " b")])
ticket.setBanTime(3600); ticket.setBanCount(2)
database.addBan(jail, ticket)
log = FileContainer("/etc/hostname", "utf-8", False)
log.setPos(5); database.addLog(jail, log)
json.dump(None, sys.stdout)
`;

test("reads what fail2ban itself has written", { skip: withoutFail2ban }, () => {
  const path = join(directory, "real.sqlite3");
  askFail2ban(writer, path, "UTC");
  const { bans, positions, unreadable } = readFail2banDatabase(path, nowMs);
  assert.deepEqual(bans, [
    {
      jail: "sshd",
      id: "192.0.2.1",
      net: "192.0.2.1",
      startMs: nowMs,
      untilMs: nowMs + 3_600_000,
      earlierBans: 1,
      lines: ["first line", "a date b"],
    },
  ]);
  assert.equal(positions[0]?.path, "/etc/hostname");
  assert.equal(unreadable, 0);
});
