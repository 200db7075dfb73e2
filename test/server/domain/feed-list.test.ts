import assert from "node:assert/strict";
import { test } from "node:test";
import { readList } from "../../../server/domain/feed-list.ts";
import { formatNet } from "../../../shared/address.ts";

const netsOf = (text: string) => readList(text).nets.map(formatNet);

test("a list is addresses and networks, with comments of both kinds, counts and Windows' line ends", () => {
  const text = [
    "; Spamhaus DROP List 2026/11/27",
    "# blocklist",
    "",
    "192.0.2.1",
    "198.51.100.0/24 ; SBL256894",
    "2001:db8::/48 # one more",
    "203.0.113.7\t12",
    "  203.0.113.8  ",
    "::ffff:203.0.113.9",
  ].join("\r\n");
  const nets = [
    "192.0.2.1/32",
    "198.51.100.0/24",
    "2001:db8::/48",
    "203.0.113.7/32",
    "203.0.113.8/32",
    "203.0.113.9/32",
  ];
  assert.deepEqual(netsOf(text), nets);
  assert.deepEqual([readList(text).lines, readList(text).badLines], [6, 0]);
});

test("a list of JSON lines names its networks as cidr, and one line is about the list", () => {
  const text = `{"cidr":"198.51.100.0/24","sblid":"SBL1"}\n{"type":"metadata","records":1}\n`;
  assert.deepEqual([netsOf(text), readList(text).lines], [["198.51.100.0/24"], 1]);
});

test("the same net twice is one entry", () => {
  assert.deepEqual(netsOf("192.0.2.1\n192.0.2.1/32\n"), ["192.0.2.1/32"]);
});

test("a byte order mark is no part of the first line", () => {
  assert.deepEqual(readList("\ufeff192.0.2.1\n").badLines, 0);
});

for (const line of [
  ...["<!DOCTYPE html>", "192.0.2.7/24", "010.0.0.1", "192.0.2.0/33", "192.0.2.1 and others", "192.0.2.1,7"],
  ...[
    "192.0.2.1-192.0.2.9",
    "example.org",
    `{"error":"rate limited"}`,
    `{"cidr":7}`,
    "{",
    "192.0.2.1 7 8",
    "2001:db8::1%eth0",
  ],
]) {
  test(`"${line}" is no entry, and a person is shown it`, () => {
    const { nets, badLines, firstBad } = readList(`192.0.2.1\n${line}\n`);
    assert.deepEqual([nets.length, badLines, firstBad], [1, 1, { line: 2, text: line }]);
  });
}

test("what is shown of a bad line is short and cannot paint a terminal", () => {
  assert.equal(readList(`\u001b[31m${"x".repeat(500)}`).firstBad?.text, `?[31m${"x".repeat(55)}…`);
});
