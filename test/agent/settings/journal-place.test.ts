import assert from "node:assert/strict";
import { test } from "node:test";
import { readJournalPlace } from "../../../agent/settings/journal-place.ts";
import { wordsFor } from "../../../agent/watch/follow-journals.ts";
import { load } from "./load-support.ts";

const wordsOf = (backend: string) => wordsFor(readJournalPlace(backend, "jail.local: [a] backend"));

test("without options it is the system's journal; whoever names a place reads all of it", () => {
  assert.deepEqual(wordsOf("systemd"), ["--system"]);
  assert.deepEqual(wordsOf('systemd[journalpath="/var/log/journal"]'), ["--directory=/var/log/journal"]);
  assert.deepEqual(wordsOf('systemd[journalfiles="/a/system.journal, /b/*.journal"]'), [
    "--file=/a/system.journal",
    "--file=/b/*.journal",
  ]);
  assert.deepEqual(wordsOf("systemd[namespace=mail, rotated=on]"), ["--system", "--namespace=mail"]);
});

test("journalflags is a sum as sd_journal_open takes it", () => {
  assert.deepEqual(wordsOf("systemd[journalflags=0]"), ["--merge"]);
  assert.deepEqual(wordsOf("systemd[journalflags=1]"), []);
  assert.deepEqual(wordsOf("systemd[journalflags=5]"), ["--system"]);
  assert.deepEqual(wordsOf("systemd[journalflags=12]"), ["--system", "--user", "--merge"]);
  assert.deepEqual(wordsOf("systemd[journalflags=7]"), ["--system", "--directory=/run/log/journal"]);
  assert.deepEqual(wordsOf("systemd[journalflags=5, journalpath=/j]"), ["--system", "--directory=/j"]);
});

test("a journal option that does not exist, or two that exclude each other, stop that jail only and are named", () => {
  const { jails, broken } = load(
    "[a]\nfilter = f\nbackend = systemd[journalflag=1]\n" +
      "[b]\nfilter = f\nbackend = systemd[journalpath=/x, namespace=y]\n" +
      "[c]\nfilter = f\nbackend = systemd[journalflags=all]\n" +
      "[d]\nfilter = f\nbackend = systemd[journalpath=/x]\n",
  );
  assert.deepEqual(
    jails.map(({ name, journal }) => [name, journal?.directory]),
    [["d", "/x"]],
  );
  const [a, b, c] = broken.map(({ problem }) => problem);
  assert.match(a ?? "", /\[a\] backend: systemd has no option "journalflag"; it has journalpath, journalfiles/);
  assert.match(b ?? "", /names several journals at once/);
  assert.match(c ?? "", /journalflags "all" is no sum of 1/);
});
