import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "node:test";
import { expandGlob } from "../../../agent/logs/expand-glob.ts";
import { rotatedBaseOf, rotatedFilesMax, rotatedNames } from "../../../agent/logs/rotated-names.ts";

test("rotated files come oldest first: numbers count back, dates count on", () => {
  assert.deepEqual(
    rotatedNames("auth.log", ["auth.log", "auth.log.1", "auth.log.10.gz", "auth.log.2.gz", "auth.log.0"]),
    ["auth.log.10.gz", "auth.log.2.gz", "auth.log.1", "auth.log.0"],
  );
  assert.deepEqual(
    rotatedNames("auth.log", [
      "auth.log-20260102",
      "auth-20260103.log",
      "auth.log-20251231.gz",
      "auth.log-20260102-17",
    ]),
    ["auth.log-20251231.gz", "auth.log-20260102", "auth.log-20260102-17", "auth-20260103.log"],
  );
});

test("other logs, compressed in other ways or only named alike, are no rotated files", () => {
  const others = [
    "auth.log.bak",
    "auth.log.1.xz",
    "auth-1.log",
    "auth.log1",
    "xauth.log.1",
    "auth.logs.1",
    "auth.log.",
  ];
  assert.deepEqual(rotatedNames("auth.log", others), []);
});

test("of a file that is being compressed the plain one is taken", () => {
  assert.deepEqual(rotatedNames("a", ["a.1.gz", "a.1", "a.2", "a.2.gz"]), ["a.2", "a.1"]);
});

test("of too many rotated files the newest are taken", () => {
  const names = Array.from({ length: 100 }, (_, index) => `a.${index + 1}`);
  const taken = rotatedNames("a", names);
  assert.deepEqual([taken.length, taken.at(-1)], [rotatedFilesMax, "a.1"]);
});

test("a rotated name leads to its log when that log is there", () => {
  const isLog = (name: string) => ["auth.log", "web-1.log", "syslog"].includes(name);
  assert.equal(rotatedBaseOf("auth.log.1", isLog), "auth.log");
  assert.equal(rotatedBaseOf("auth.log-20260102", isLog), "auth.log");
  assert.equal(rotatedBaseOf("auth-20260102.log", isLog), "auth.log");
  assert.equal(rotatedBaseOf("web-1.log.2", isLog), "web-1.log");
  assert.equal(rotatedBaseOf("syslog.old", isLog), "syslog");
  assert.equal(rotatedBaseOf("auth.log", isLog), undefined);
  assert.equal(rotatedBaseOf("web-2.log", isLog), undefined);
  assert.equal(rotatedBaseOf("mail.log.1", isLog), undefined);
  assert.equal(rotatedBaseOf("other.log.gz", isLog), "other.log");
});

test("a glob means what it means in Python", (t) => {
  const root = mkdtempSync(join(tmpdir(), "fleet2ban-glob-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const directory of ["a/x", "b", "c.d", "d"]) mkdirSync(join(root, directory), { recursive: true });
  for (const file of [
    "a/1.log",
    "a/2.log",
    "a/x/3.log",
    "b/10.log",
    "b/.h.log",
    "c.d/{1}.log",
    "c.d/[.log",
    "c.d/1+.log",
    "d/^.log",
  ]) {
    writeFileSync(join(root, file), "");
  }
  const paths = (glob: string) => expandGlob(join(root, glob)).paths.map((path) => relative(root, path));
  const logs = ["a/1.log", "a/2.log", "b/10.log", "c.d/1+.log", "c.d/[.log", "c.d/{1}.log", "d/^.log"];
  assert.deepEqual(paths("*/*.log"), logs);
  assert.deepEqual(paths("**/3.log"), []);
  assert.deepEqual(paths("a/*/3.log"), ["a/x/3.log"]);
  assert.deepEqual(paths("[ab]/?.log"), ["a/1.log", "a/2.log"]);
  assert.deepEqual(paths("[!a]/[0-9][0-9].log"), ["b/10.log"]);
  assert.deepEqual(paths("b/.*"), ["b/.h.log"]);
  assert.deepEqual(paths("c.d/{1}*"), ["c.d/{1}.log"]);
  assert.deepEqual(paths("c?d/1+*"), ["c.d/1+.log"]);
  assert.deepEqual(paths("c.d/[[]*"), ["c.d/[.log"]);
  assert.deepEqual(paths("[^d]/?.log"), ["d/^.log"]);
  assert.deepEqual(paths("a/[z-a]*"), []);
  assert.deepEqual(paths("a/1.log"), ["a/1.log"]);
  assert.deepEqual(paths("nowhere/*.log"), []);
});
