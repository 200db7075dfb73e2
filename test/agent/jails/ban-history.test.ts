import assert from "node:assert/strict";
import { test } from "node:test";
import { createBanHistory } from "../../../agent/jails/ban-history.ts";

const id = "192.0.2.1";
const dayMs = 86_400_000;

test("sums over jails, with the start of the latest ban", () => {
  const history = createBanHistory();
  history.record("sshd", id, { bans: 2, lastStartMs: 50, lastBanTimeMs: 1 });
  history.record("mail", id, { bans: 3, lastStartMs: 70, lastBanTimeMs: 2 });
  assert.deepEqual(history.historyOverall(id), { bans: 5, lastStartMs: 70, lastBanTimeMs: 2 });
  assert.equal(history.historyInJail("sshd", id)?.bans, 2);
  assert.equal(history.historyOverall("192.0.2.2"), undefined);
});

test("remembers a ban for three times its length and a day, one for ever always", () => {
  const history = createBanHistory();
  history.record("sshd", id, { bans: 1, lastStartMs: 0, lastBanTimeMs: 1000 });
  history.record("mail", id, { bans: 1, lastStartMs: 0, lastBanTimeMs: null });
  history.purge(3000 + dayMs);
  assert.equal(history.historyOverall(id)?.bans, 2);
  history.purge(3001 + dayMs);
  assert.equal(history.historyInJail("sshd", id), undefined);
  assert.equal(history.historyInJail("mail", id)?.bans, 1);
});

test("forgets what was lifted by hand, in that jail", () => {
  const history = createBanHistory();
  history.record("sshd", id, { bans: 1, lastStartMs: 0, lastBanTimeMs: 1 });
  history.record("mail", id, { bans: 1, lastStartMs: 0, lastBanTimeMs: 1 });
  history.forget("sshd", id);
  assert.equal(history.historyOverall(id)?.bans, 1);
});
