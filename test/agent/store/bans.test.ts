import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type BanStore, banLineLengthMax, banLinesMax, type StoredBan } from "../../../agent/store/bans.ts";
import { openStore } from "../../../agent/store/open-store.ts";
import { quietLog } from "../logs/followed-log.ts";

const minute = 60_000;
const day = 86_400_000;

const ban: StoredBan = {
  jail: "sshd",
  id: "192.0.2.1",
  net: "192.0.2.1/32",
  ports: [22],
  startMs: 1000,
  untilMs: 1000 + minute,
  earlierBans: 0,
  lines: ["Failed password"],
};

function bans(t: TestContext): BanStore {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-bans-"));
  const store = openStore(dir, quietLog);
  t.after(() => {
    store[Symbol.dispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  return store.bans;
}

test("a ban stands until its end, not in it", (t) => {
  const store = bans(t);
  const forEver = { ...ban, id: "<unknown user>", net: null, ports: null, untilMs: null };
  store.record([ban, forEver]);
  assert.deepEqual(store.standing(1000 + minute - 1), [ban, forEver]);
  assert.deepEqual(store.standing(1000 + minute), [forEver]);
});

test("a ban keeps the last lines, each within its length", (t) => {
  const store = bans(t);
  store.record([{ ...ban, lines: [...Array(30).keys()].map((n) => `${n}${"x".repeat(5000)}`) }]);
  const [kept] = store.standing(0);
  assert.equal(kept?.lines.length, banLinesMax);
  assert.ok(kept?.lines.at(-1)?.startsWith("29x"));
  assert.ok(kept?.lines.every((line) => line.length === banLineLengthMax));
});

test("each ban of an id counts in its jail's history and in the sum over all jails", (t) => {
  const store = bans(t);
  assert.equal(store.historyInJail("sshd", ban.id), undefined);
  assert.equal(store.historyOverall(ban.id), undefined);
  store.record([ban]);
  store.record([{ ...ban, startMs: 5000, untilMs: null, earlierBans: 1 }]);
  store.record([{ ...ban, jail: "dovecot", startMs: 3000, untilMs: 3000 + minute }]);
  assert.deepEqual(store.historyInJail("sshd", ban.id), { bans: 2, lastStartMs: 5000, lastBanTimeMs: null });
  assert.deepEqual(store.historyInJail("dovecot", ban.id), { bans: 1, lastStartMs: 3000, lastBanTimeMs: minute });
  assert.deepEqual(store.historyOverall(ban.id), { bans: 3, lastStartMs: 5000, lastBanTimeMs: null });
});

test("a prolonged ban ends later and counts once", (t) => {
  const store = bans(t);
  store.record([ban]);
  assert.equal(store.prolong("sshd", ban.id, 1000 + 5 * minute), true);
  assert.equal(store.prolong("sshd", "198.51.100.1", null), false);
  assert.equal(store.standing(0)[0]?.untilMs, 1000 + 5 * minute);
  assert.deepEqual(store.historyInJail("sshd", ban.id), { bans: 1, lastStartMs: 1000, lastBanTimeMs: 5 * minute });
});

test("an expired ban stays in the history, one lifted by hand does not", (t) => {
  const store = bans(t);
  store.record([ban, { ...ban, id: "198.51.100.1" }]);
  store.lift("sshd", ban.id);
  store.forget("sshd", "198.51.100.1");
  assert.deepEqual(store.standing(0), []);
  assert.equal(store.historyInJail("sshd", ban.id)?.bans, 1);
  assert.equal(store.historyInJail("sshd", "198.51.100.1"), undefined);
});

test("purging forgets ended bans, and a history after three bantimes and a day", (t) => {
  const store = bans(t);
  store.record([ban, { ...ban, id: "198.51.100.1", untilMs: null }]);
  const forgottenMs = 1000 + 3 * minute + day;
  store.purge(forgottenMs - 1);
  assert.equal(store.standing(0).length, 1);
  assert.equal(store.historyInJail("sshd", ban.id)?.bans, 1);
  store.purge(forgottenMs);
  assert.equal(store.historyInJail("sshd", ban.id), undefined);
  assert.equal(store.historyInJail("sshd", "198.51.100.1")?.bans, 1);
});

test("what fail2ban remembered is taken over, and does not replace what is known", (t) => {
  const store = bans(t);
  store.record([ban]);
  const imported = { jail: "sshd", bans: 4, lastStartMs: 10, lastBanTimeMs: minute };
  store.importHistory([
    { ...imported, id: ban.id },
    { ...imported, id: "203.0.113.9" },
  ]);
  assert.equal(store.historyInJail("sshd", ban.id)?.bans, 1);
  assert.equal(store.historyInJail("sshd", "203.0.113.9")?.bans, 4);
});
