import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { lineOf, messageLengthMax, parseJournalEntry } from "../../../agent/logs/journal-line.ts";
import { selectFromJournal } from "../../../agent/logs/journal-matches.ts";
import { outputLineLengthMax, splitLines } from "../../../agent/logs/split-lines.ts";

const base = { __CURSOR: "c", __REALTIME_TIMESTAMP: "1700000001234567" };

function textOf(fields: object): string | undefined {
  const entry = parseJournalEntry(JSON.stringify({ ...base, ...fields }));
  return entry === undefined ? undefined : lineOf(entry, []).text;
}

test("a line is HOST IDENT[PID]: MESSAGE, with what the sender said before what the journal knows", () => {
  const known = { _HOSTNAME: "web-1", _COMM: "sshd-session", _PID: "7", MESSAGE: "Failed password" };
  assert.equal(textOf(known), "web-1 sshd-session[7]: Failed password");
  assert.equal(textOf({ ...known, SYSLOG_IDENTIFIER: "sshd" }), "web-1 sshd[7]: Failed password");
  assert.equal(textOf({ ...known, SYSLOG_IDENTIFIER: "sshd", SYSLOG_PID: "42" }), "web-1 sshd[42]: Failed password");
  assert.equal(textOf({ SYSLOG_IDENTIFIER: "sshd", MESSAGE: "x" }), "sshd: x");
  assert.equal(textOf({ _HOSTNAME: "web-1", MESSAGE: "x" }), "web-1 x");
});

test("a line of the kernel carries its own clock", () => {
  const kernel = { _HOSTNAME: "web-1", SYSLOG_IDENTIFIER: "kernel", MESSAGE: "x" };
  assert.equal(textOf({ ...kernel, _SOURCE_MONOTONIC_TIMESTAMP: "12345678" }), "web-1 kernel: [   12.345678] x");
  assert.equal(textOf({ ...kernel, __MONOTONIC_TIMESTAMP: "1000000" }), "web-1 kernel: [    1.000000] x");
});

test("a message of bytes, of several values, with newlines, or too long becomes one line", () => {
  assert.equal(textOf({ MESSAGE: [97, 10, 0xc3, 0xa4] }), "a\\nä");
  assert.equal(textOf({ MESSAGE: ["one", "two"] }), "one two");
  assert.equal(textOf({ MESSAGE: null }), "");
  assert.equal(textOf({ MESSAGE: "x".repeat(100_000) })?.length, messageLengthMax);
});

test("the time is the sender's reading, else the journal's; what the journal vouches for is kept apart", () => {
  const entry = parseJournalEntry(JSON.stringify({ ...base, _UID: "0", _COMM: "sshd", UID: "1", MESSAGE: "" }));
  assert.ok(entry);
  assert.equal(lineOf(entry, []).atMs, 1_700_000_001_234);
  assert.deepEqual(lineOf(entry, []).trusted, { _UID: "0", _COMM: "sshd" });
  const sent = parseJournalEntry(JSON.stringify({ ...base, _SOURCE_REALTIME_TIMESTAMP: "1700000000500000" }));
  assert.ok(sent);
  assert.equal(lineOf(sent, []).atMs, 1_700_000_000_500);
});

test("what is no entry is none", () => {
  for (const json of ["", "null", "[]", "{}", "{", '{"__CURSOR":1}', '{"__CURSOR":"c","__REALTIME_TIMESTAMP":"x"}']) {
    assert.equal(parseJournalEntry(json), undefined, json);
  }
});

function jailsOf(matches: Record<string, string[][]>, fields: Record<string, string>): readonly string[] {
  return selectFromJournal(new Map(Object.entries(matches))).jailsOf((field) => {
    const value = fields[field];
    return value === undefined ? [] : [value];
  });
}

test("terms of one field are alternatives, terms of different fields conditions, lines and + alternatives", () => {
  const matches = {
    sshd: [["_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=sshd.service", "_COMM=sshd"], ["_COMM=sshd-session"]],
    mail: [["_COMM=dovecot", "+", "SYSLOG_IDENTIFIER=postfix"]],
    all: [],
  };
  assert.deepEqual(jailsOf(matches, { _SYSTEMD_UNIT: "sshd.service", _COMM: "sshd" }), ["sshd", "all"]);
  assert.deepEqual(jailsOf(matches, { _SYSTEMD_UNIT: "ssh.service", _COMM: "bash" }), ["all"]);
  assert.deepEqual(jailsOf(matches, { _COMM: "sshd-session" }), ["sshd", "all"]);
  assert.deepEqual(jailsOf(matches, { SYSLOG_IDENTIFIER: "postfix" }), ["mail", "all"]);
});

test("the reader is asked for what any jail wants, once, and for everything when one jail wants that", () => {
  const some = new Map([
    ["sshd", [["_COMM=sshd", "_UID=0"]]],
    ["sshd-ddos", [["_UID=0", "_COMM=sshd"], ["/usr/sbin/exim4"]]],
  ]);
  assert.deepEqual(selectFromJournal(some).terms, ["_COMM=sshd", "_UID=0", "+", "_EXE=/usr/sbin/exim4"]);
  assert.deepEqual(selectFromJournal(some).fields, ["_COMM", "_UID", "_EXE"]);
  assert.deepEqual(selectFromJournal(new Map([...some, ["all", []]])).terms, []);
});

test("a term that is none is named, never becomes an option of the reader, and widens nothing", () => {
  const selection = selectFromJournal(
    new Map([
      ["bad", [["--file=/etc/shadow"]]],
      ["sshd", [["_COMM=sshd"]]],
    ]),
  );
  assert.deepEqual(selection.terms, ["_COMM=sshd"]);
  assert.match(selection.problems.join(), /jail bad: journalmatch "--file=\/etc\/shadow" is not FIELD=value/);
  assert.deepEqual(
    selection.jailsOf(() => ["sshd"]),
    ["sshd"],
  );
});

async function linesOf(...pieces: string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const some of splitLines(Readable.from(pieces.map((piece) => Buffer.from(piece))))) lines.push(...some);
  return lines;
}

test("a program's output is cut at newlines wherever its pieces end, and a line too long is left out", async () => {
  assert.deepEqual(await linesOf("a\nb", "b\n", "c\nd"), ["a", "bb", "c"]);
  const long = "x".repeat(outputLineLengthMax);
  assert.deepEqual(await linesOf(`a\n${long}`, long, "x\nb\n", "c\n"), ["a", "b", "c"]);
});
