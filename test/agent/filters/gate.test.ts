import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { firstCharacters } from "../../../agent/filters/first-characters.ts";
import { Gate, logBytes } from "../../../agent/filters/gate.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import { PythonRegex } from "../../../agent/filters/python-regex.ts";
import { parsePythonRegex } from "../../../agent/filters/python-regex-parser.ts";
import { type Literal, requiredLiterals } from "../../../agent/filters/required-literals.ts";
import { type Candidate, Scanner } from "../../../agent/filters/scanner.ts";
import { builtInConfigDir, loadFilter } from "../../../agent/settings/load-settings.ts";
import { withoutFail2ban } from "../fail2ban-oracle.ts";
import { clockAt, filterOf, noon, noonMs } from "./filter-support.ts";
import { randomRegex, randomText } from "./random-regex.ts";
import { openSampleSuite } from "./sample-suite.ts";
import { seededRandom } from "./seeded-random.ts";

function candidatesOf(filters: readonly Filter[], chunk: Buffer | string): Candidate[] {
  const candidates = new Scanner(filters).scan(Buffer.from(chunk), clockAt(noonMs));
  const all: Candidate[] = [];
  for (let each = candidates.next(); each !== undefined; each = candidates.next()) all.push(each);
  return all;
}

function literalsOf(regex: string): string[] | null {
  const found = requiredLiterals(parsePythonRegex(regex, { multiline: false }).root, () => false);
  return found?.map((each) => (each.ignoreCase ? `i:${each.text}` : each.text)) ?? null;
}

for (const [rule, regex, literals] of [
  ["a plain text is required", "^Failed password", ["Failed password"]],
  ["the longest text is chosen", "abc.*abcdef.*abcd", ["abcdef"]],
  ["every alternative gives one", "x(?:first|second)y", ["xfirsty", "xsecondy"]],
  ["an alternative without text gives none", "(?:first|\\w+)", null],
  ["an optional text is not required", "(?:first)?\\d", null],
  ["an optional letter makes two spellings", "colou?r", ["colour", "color"]],
  ["a repeated text is required once", "(?:first)+", ["first"]],
  ["a text repeated from none on is not", "(?:first)*x*", null],
  ["small sets make spellings", "[iI]nvalid user", ["invalid user", "Invalid user"]],
  ["negated sets end a text", "abc[^d]efgh", ["efgh"]],
  ["look-aheads are not part of the text", "abc(?!def)ghi", ["abc"]],
  ["both branches of a condition count", "(\\d)?\\d(?(1)first|second)", ["first", "second"]],
  ["a condition without a second branch gives none", "(\\d)?\\d(?(1)first)", null],
  ["ignored case is worth less", "abc(?i:defg)h", ["abc"]],
  ["ignored case is better than nothing", "\\d(?i:defg)\\d", ["i:defg"]],
  ["ignored case does not trust letters with relatives beyond ASCII", "(?i:fail me)", ["i:l me"]],
  ["what stands in most lines is worth less", " from \\d+PAM: ", ["PAM: "]],
  ["text beyond ASCII is not used", "größe", null],
] as const) {
  test(rule, () => assert.deepEqual(literalsOf(regex), literals));
}

test("text on both sides of a date that is cut out is not joined", () => {
  const filter = filterOf({ failRegex: ["^\\[\\] \\[x\\]; bad <ADDR>"] });
  assert.deepEqual(filter.literals, [{ text: " bad ", ignoreCase: false }]);
  assert.equal(candidatesOf([filter], `[${noon}] [x]; bad 192.0.2.1\n`).length, 1);
});

test("text that a folded line holds apart is not joined", () => {
  const filter = filterOf({ failRegex: ["^ \\S+ prog: bad thing <ADDR>$"] });
  const folded = `${noon} h prog: message repeated 3 times: [ bad thing 192.0.2.1]`;
  assert.equal(filter.match(folded, clockAt(noonMs)).kind, "failure");
  assert.equal(candidatesOf([filter], `${folded}\n`).length, 1);
});

test("the prefregex finds fewer lines where its words are longer", () => {
  const failRegex = ["^from <ADDR>$"];
  const filter = filterOf({ prefRegex: "^ \\S+ postfix/smtpd: <F-CONTENT>.+</F-CONTENT>$", failRegex });
  assert.deepEqual(filter.literals, [{ text: " postfix/smtpd:", ignoreCase: false }]);
});

test("a filter whose date has no word edges sees every line", () => {
  assert.equal(filterOf({ failRegex: ["^abc def <ADDR>"], datePattern: "{UNB}%Y-%m-%d" }).literals, null);
  assert.equal(filterOf({ failRegex: ["^abc def <ADDR>"], maxLines: 2 }).literals, null);
});

test("no generated regex matches a text without its literals, or that begins as it cannot", () => {
  const random = seededRandom(3);
  let [matched, withLiterals, withFirst] = [0, 0, 0];
  for (let index = 0; index < 6000; index += 1) {
    const source = `${random.pick(["", "^"])}${randomRegex(random, 3)}`;
    const regex = validRegex(source);
    if (regex === undefined) continue;
    const text = randomText(random);
    if (regex.search(text, false) === null) continue;
    matched += 1;
    const literals = requiredLiterals(regex.tree.root, () => false);
    const first = firstCharacters(regex.tree.root);
    if (literals !== null) withLiterals += 1;
    if (first !== null) withFirst += 1;
    const held = literals === null || literals.some((each) => holds(text, each));
    assert.ok(held, `${source} matches ${JSON.stringify(text)} without ${JSON.stringify(literals)}`);
    assert.ok(
      first?.[text.charCodeAt(0)] !== 0,
      `${source} matches ${JSON.stringify(text)}, which it cannot begin with`,
    );
  }
  assert.ok(matched > 1000 && withLiterals > 20 && withFirst > 200, `${matched} ${withLiterals} ${withFirst}`);
});

function holds(text: string, literal: Literal): boolean {
  return literal.ignoreCase ? text.toLowerCase().includes(literal.text.toLowerCase()) : text.includes(literal.text);
}

function validRegex(source: string): PythonRegex | undefined {
  try {
    return new PythonRegex(source, { multiline: false });
  } catch {
    return undefined;
  }
}

function hits(literals: readonly (readonly Literal[] | null)[], chunk: string): [string, number][] {
  const found: [string, number][] = [];
  const gate = new Gate(literals);
  const bytes = Buffer.from(chunk, "latin1");
  const searched = logBytes(bytes);
  for (let hit = gate.next(searched, 0); hit !== undefined; hit = gate.next(searched, hit.end + 1)) {
    found.push([bytes.toString("latin1", hit.start, hit.end), hit.filters]);
  }
  return found;
}

const cased = (...texts: string[]): Literal[] => texts.map((text) => ({ text, ignoreCase: false }));

test("each line goes to the filters whose literals it holds, and to no other", () => {
  const literals = [cased("abc"), cased("abcd", "xyz"), cased("bcd")];
  assert.deepEqual(hits(literals, "-abc-\n-abcd-\nnone\n-xyz-\n"), [
    ["-abc-", 1],
    ["-abcd-", 7],
    ["-xyz-", 2],
  ]);
});

test("a literal inside a longer one of another filter is found", () => {
  assert.deepEqual(hits([cased("first second"), cased("second")], "first second\n"), [["first second", 3]]);
});

test("literals of any case are found in any case", () => {
  assert.deepEqual(hits([[{ text: "Login", ignoreCase: true }], cased("nothing")], "a LOGIN\nb logim\n"), [
    ["a LOGIN", 1],
  ]);
});

test("a short literal that is sought by itself is found beside long ones, wherever they stand", () => {
  const long = "abcdefghijklmnop";
  const lines = [`${long}Qx: `, `Qx: ${long}`, "none", long, "-Qx:-", "Qx: Qx: ", `-${long} - Qx: ${long}`];
  assert.deepEqual(hits([cased("Qx: "), cased(long)], `${lines.join("\n")}\n`), [
    [lines[0], 3],
    [lines[1], 3],
    [lines[3], 2],
    [lines[5], 1],
    [lines[6], 3],
  ]);
});

test("a last line without newline is seen", () => {
  assert.deepEqual(hits([cased("abc")], "x\nabc"), [["abc", 1]]);
  assert.deepEqual(hits([null], "x\n\nabc"), [
    ["x", 1],
    ["abc", 1],
  ]);
});

test("generated literals of any length are found in generated lines wherever they stand, and nothing else is", () => {
  const random = seededRandom(11);
  const letters = ["a", "b", "B", "[", "{", " ", "é"];
  const text = (length: number) => Array.from({ length }, () => random.pick(letters)).join("");
  let found = 0;
  for (let round = 0; round < 3000; round += 1) {
    const least = 3 + random.below(8);
    const literals = Array.from({ length: 1 + random.below(4) }, () =>
      Array.from({ length: 1 + random.below(3) }, () => ({
        text: text(least + random.below(6)).replaceAll("é", "a"),
        ignoreCase: random.below(3) === 0,
      })),
    );
    const all = literals.flat();
    const lines = Array.from({ length: 6 }, () => {
      const planted = random.below(2) === 0 ? random.pick(all).text : "";
      return text(random.below(9)) + (random.below(2) === 0 ? planted : planted.toUpperCase()) + text(random.below(9));
    });
    const expected = lines.flatMap((line) => {
      const filters = literals.reduce(
        (mask, each, index) => (each.some((one) => holds(line, one)) ? mask | (1 << index) : mask),
        0,
      );
      return filters === 0 ? [] : [[line, filters]];
    });
    const chunk = lines.join("\n") + (random.below(2) === 0 ? "\n" : "");
    assert.deepEqual(hits(literals, chunk), expected, JSON.stringify({ literals, chunk }));
    found += expected.length;
  }
  assert.ok(found > 3000, `only ${found} lines held a literal`);
});

test("literals go across a place where no date can be cut out", () => {
  const parts = { failRegex: ['^\\[\\] "(?:GET|POST) /x" <ADDR>$'], datePattern: "^[^\\[]*\\[({DATE})" };
  const filter = filterOf(parts);
  assert.deepEqual(
    filter.literals?.map(({ text }) => text),
    ['] "GET /x" ', '] "POST /x" '],
  );
  const line = '[01/Mar/2005:12:00:00 +0000] "GET /x" 192.0.2.1';
  assert.equal(filter.match(line, clockAt(noonMs)).kind, "failure");
  assert.equal(candidatesOf([filter], `${line}\n`).length, 1);
});

test("literals end where a pattern may cut anything, or all of itself", () => {
  const failRegex = ['^"(?:GET|POST) /x" <ADDR>$'];
  for (const datePattern of ["^[^\\[]*\\[ ?({DATE})", '^"\\[({EPOCH})\\]']) {
    const { literals } = filterOf({ failRegex, datePattern });
    assert.deepEqual(
      literals?.map(({ text }) => text),
      ["GET", "POST"],
    );
  }
});

test("more filters than one gate holds are all served", () => {
  const filters = Array.from({ length: 70 }, (_, index) =>
    filterOf({ name: `f${index}`, failRegex: [`^ word${index}x <ADDR>`] }),
  );
  const found = candidatesOf(filters, Buffer.from(`${noon} word69x 192.0.2.1\n${noon} word3x 192.0.2.1\n`));
  assert.deepEqual(found.map(({ filter }) => filter.name).toSorted(), ["f3", "f69"]);
});

test("candidates are decoded, and lose their carriage returns", () => {
  const filter = filterOf({ failRegex: ["^ bad <ADDR>"] });
  const found = candidatesOf([filter], Buffer.from("é bad 1\r\r\nbad 2\n x bad \xff\r\n x bad 3\n"));
  assert.deepEqual(
    found.map(({ line, ended }) => [line, ended]),
    [
      ["é bad 1", "é bad 1\n"],
      [" x bad \xff", " x bad \xff\n"],
      [" x bad 3", " x bad 3\n"],
    ],
  );
});

/** Every filter at hand must give the same outcome for every line, gated or not. */
function lostLines(filters: readonly Filter[], lines: readonly string[]): string[] {
  const lost: string[] = [];
  for (const filter of filters) {
    if (filter.literals === null) continue;
    const candidates = candidatesOf([filter], Buffer.from(`${lines.join("\n")}\n`));
    const seen = new Set(candidates.map(({ line }) => line));
    for (const line of lines) {
      if (!seen.has(line) && filter.match(line, clockAt(noonMs)).kind !== "missed")
        lost.push(`${filter.name}: ${line}`);
    }
  }
  return lost;
}

/** Lines with parts of other lines, changed case and moved words: near to matching. */
function mutated(lines: readonly string[], count: number): string[] {
  const random = seededRandom(7);
  return Array.from({ length: count }, () => {
    const line = random.pick(lines);
    const other = random.pick(lines);
    const at = random.below(line.length);
    switch (random.below(5)) {
      case 0:
        return line.slice(0, at) + other.slice(random.below(other.length));
      case 1:
        return line.slice(0, at) + line.slice(at + 1 + random.below(4));
      case 2:
        return line.slice(0, at) + line.slice(at).toUpperCase();
      case 3:
        return line.slice(0, at) + line.slice(at).toLowerCase();
      default:
        return line.slice(0, at) + random.pick(["é", "ſ", "K", " ", "]", "[", "2005-01-23 21:59:59"]) + line.slice(at);
    }
  });
}

describe("no line that means anything is kept from its filter", () => {
  test("built-in filters on the real words of their daemons", () => {
    const dir = builtInConfigDir();
    const names = ["sshd", "postfix", "dovecot"];
    const filters = names.map((name) => compileFilter(loadFilter(dir, name), { useDns: "raw", timezone: "UTC" }));
    const lines = [
      "Mar  1 12:00:00 h sshd[1]: Failed password for invalid user x from 192.0.2.1 port 5 ssh2",
      "Mar  1 12:00:00 h sshd[1]: Invalid user x from 192.0.2.1 port 5",
      "Mar  1 12:00:00 h postfix/smtpd[1]: warning: x[192.0.2.1]: SASL LOGIN authentication failed: x",
      "Mar  1 12:00:00 h dovecot: imap-login: Aborted login (auth failed, 3 attempts): user=<x>, rip=192.0.2.1, lip=192.0.2.2",
    ];
    assert.deepEqual(lostLines(filters, [...lines, ...mutated(lines, 5000)]), []);
  });

  describe("stock filters", { skip: withoutFail2ban }, () => {
    before(() => {
      process.env["TZ"] = "Europe/Zurich";
    });

    test("on every sample and on mutated samples", () => {
      using suite = openSampleSuite();
      const lines = [...new Set(suite.samples.map((sample) => sample.line))].filter((line) => line !== "");
      const instances = new Map(suite.samples.map((sample) => [sample.instance, sample]));
      const filters = [...instances.values()].map((sample) =>
        compileFilter(loadFilter(sample.configDir, sample.reference), { useDns: "raw", timezone: null }),
      );
      assert.ok(filters.filter((filter) => filter.literals !== null).length > 100);
      assert.deepEqual(lostLines(filters, [...lines, ...mutated(lines, 1000)]), []);
    });
  });
});
