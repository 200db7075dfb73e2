import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseIni } from "../../../agent/settings/ini.ts";
import { interpolate } from "../../../agent/settings/interpolate.ts";
import { parseReference, parseReferences } from "../../../agent/settings/reference.ts";
import { substituteTags } from "../../../agent/settings/substitute-tags.ts";
import { parseNumber, parseTimeValue } from "../../../agent/settings/time-value.ts";

const read = (text: string) => ({ ...parseIni(text, "a.conf"), known: new Map() });
const resolved = (text: string, option = "x") => interpolate(read(text), "s", option);

test("a value continues on deeper lines, and blank lines at its end do not count", () => {
  assert.equal(resolved("[s]\nx = 1\n  2\n\n\t3\n\n\ny = 4\n"), "1\n2\n\n3");
});

test("a comment inside a value vanishes without ending it", () => {
  assert.equal(resolved("[s]\nx = 1\n# no\n  ; no\n  2\n"), "1\n2");
});

test("only a semicolon behind a blank starts a comment behind a value", () => {
  assert.equal(resolved("[s]\nx = a;b # c ; d\n"), "a;b # c");
});

test("the first of = and : divides, and names are in lower case", () => {
  assert.equal(resolved("[s]\nX : a=b\n"), "a=b");
  assert.equal(resolved("[s]\nX= a:b\n"), "a:b");
});

test("a line written by Windows reads the same", () => {
  assert.equal(resolved("[s]\r\nx = 1\r\n  2\r\n"), "1\n2");
});

for (const [text, error] of [
  ["x = 1\n", /^a\.conf:1: "x = 1" stands before any section/],
  ["[s]\nx = 1\n[s]\n", /^a\.conf:3: section \[s\] is written twice/],
  ["[s]\nx = 1\nX = 2\n", /^a\.conf:3: option "x" is given twice in \[s\]/],
  ["[s]\nx = 1\nfoo\n", /^a\.conf:3: "foo" has no "="/],
  ["[s]\n= 1\n", /^a\.conf:2: "= 1" has no name/],
] as const) {
  test(`a file that does not parse names its line: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseIni(text, "a.conf"), { code: "invalid", message: error });
  });
}

test("no text makes the parser fail in another way than naming file and line", () => {
  const piece = fc.constantFrom("[", "]", "a", "=", ":", "\n", " ", "\t", ";", "#", "%", "(", ")s", "DEFAULT", "\r");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        parseIni(pieces.join(""), "a.conf");
      } catch (error) {
        assert.match(error instanceof Error ? error.message : "", /^a\.conf:\d+: /);
      }
    }),
    { seed: 1, numRuns: 2000 },
  );
});

test("a reference finds the section's value before the default, and %% is a percent sign", () => {
  assert.equal(resolved("[DEFAULT]\na = 1\nb = 2\n[s]\na = 3\nx = %(a)s%(b)s%%(c)s\n"), "32%(c)s");
});

test("values refer to each other at most ten deep", () => {
  const chain = (length: number) =>
    `${Array.from({ length }, (_, index) => `v${index} = %(v${index + 1})s\n`).join("")}v${length} = end%%\n`;
  assert.equal(interpolate(read(`[s]\n${chain(9)}`), "s", "v0"), "end%");
  assert.throws(
    () => interpolate(read(`[s]\n${chain(10)}`), "s", "v0"),
    /a\.conf:2: \[s\] v0: .*nested deeper than 10/,
  );
});

test("a missing reference and a lone percent sign name file, section, option and remedy", () => {
  assert.throws(
    () => resolved("[s]\nx = %(nope)s\n"),
    /^Fleet2banError: a\.conf:2: \[s\] x: refers to %\(nope\)s.*define it/,
  );
  assert.throws(() => resolved("[s]\nx = %Y\n"), /a\.conf:2: \[s\] x: a single "%" must be written "%%"/);
});

test("a value that doubles itself is stopped before it fills the memory", () => {
  const text = `[s]\n${Array.from({ length: 9 }, (_, index) => `v${index} = ${`%(v${index + 1})s`.repeat(50)}\n`).join("")}v9 = 0123456789\n`;
  assert.throws(() => interpolate(read(text), "s", "v0"), /grows beyond/);
});

const substituted = (values: Record<string, string>, ignored: string[] = []) =>
  Object.fromEntries(substituteTags(new Map(Object.entries(values)), new Set(ignored), () => undefined, "here"));

test("a tag inside a tag is replaced first", () => {
  assert.equal(substituted({ a: "<b-<c>>", c: "d", "b-d": "e" }).a, "e");
});

test("what has no value stays: addresses, fields, redirections, ignored names", () => {
  const text = "<HOST> <F-USER>\\S+</F-USER> (?P<x>a) < file <ip> <bantime>";
  assert.equal(substituted({ a: text, bantime: "1" }, ["bantime"]).a, text);
});

test("tags that refer to themselves are refused, whichever way round", () => {
  assert.throws(() => substituted({ a: "<a>" }), /here: option "a" refers to itself through <a>/);
  assert.throws(() => substituted({ a: "<b>", b: "<a>" }), /refers to itself/);
  assert.throws(() => substituted({ a: "<b>", b: "x<c><c>", c: "y<b><b>" }), /refers to itself|grows beyond/);
});

test("a replacement is taken literally, dollar signs included", () => {
  assert.equal(substituted({ a: "[<b>]", b: "$& $1 $$" }).a, "[$& $1 $$]");
});

test("a reference's options are quoted or bare, in one group or several", () => {
  const { name, options } = parseReference(`x[a=1, b="2, ]", c='say "3"'][d= 4 ,\n e=]`, "here");
  assert.equal(name, "x");
  assert.deepEqual(Object.fromEntries(options), { a: "1", b: "2, ]", c: 'say "3"', d: "4", e: "" });
});

test("references are divided at blanks outside of their brackets", () => {
  assert.deepEqual(
    parseReferences(' a[x="1 2"]\n b\n  c[y=1\n ,z=2] ', "here").map((reference) => reference.name),
    ["a", "b", "c"],
  );
});

for (const text of ['a[x="1"y]', "a[x]", "a[=1]", "a[x=1", "a]", "a[x=1]b"]) {
  test(`a reference that is not one is refused: ${text}`, () => {
    assert.throws(() => parseReference(text, "here"), { code: "invalid", message: /^here: / });
  });
}

for (const [text, seconds] of [
  ["600", 600],
  ["-1", -1],
  ["1d12h", 129_600],
  ["1h 30m", 5400],
  ["1y-6mo", 15_778_800],
  ["1 year - 6 months", 15_778_800],
  ["2*3h", 21_600],
  ["1d 2", 86_402],
  ["1.5h", 5400],
  ["1W", 604_800],
  ["(1h+30m)*2", 10_800],
  ["7//2", 3],
  ["-7%3", 2],
  ["2**3m", 2 ** 3 * 60],
] as const) {
  test(`a time: ${text}`, () => assert.equal(parseTimeValue(text, "here"), seconds));
}

for (const text of ["", "soon", "1x", "1h*", "1/0", "()", "1)", "(".repeat(100), "__import__('os')", "-".repeat(100)]) {
  test(`not a time: ${text.slice(0, 20)}`, () => {
    assert.throws(() => parseTimeValue(text, "here"), { code: "invalid", message: /^here: .*not a span of time/ });
  });
}

test("a plain number knows no units", () => {
  assert.equal(parseNumber("1.5 * 2", "here"), 3);
  assert.throws(() => parseNumber("2h", "here"), /not a number/);
});
