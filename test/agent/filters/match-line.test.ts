import assert from "node:assert/strict";
import { test } from "node:test";
import type { FilterSettings, UseDns } from "../../../agent/settings/jail-settings.ts";
import { clockAt, failureOf, filterOf, noon, noonMs } from "./filter-support.ts";

const minute = 60_000;

function idOf(settings: Partial<FilterSettings>, line: string, useDns?: UseDns): string | undefined {
  return failureOf(filterOf(settings, useDns).match(line, clockAt(noonMs)))?.id;
}

test("the date is cut out and dates the failure", () => {
  const filter = filterOf({ failRegex: ["^ host: bad <ADDR>$"] });
  const failure = failureOf(filter.match(`${noon} host: bad 192.0.2.1`, clockAt(noonMs + minute)));
  assert.equal(failure?.id, "192.0.2.1");
  assert.equal(failure?.atMs, noonMs);
  assert.deepEqual(failure?.lines, [`${noon} host: bad 192.0.2.1`]);
});

test("the first failregex that matches decides", () => {
  const filter = filterOf({ failRegex: ["^ <F-NOFAIL>bad</F-NOFAIL> <ADDR>", "^ bad <ADDR>"] });
  assert.equal(filter.match(`${noon} bad 192.0.2.1`, clockAt(noonMs)).kind, "nofail");
});

test("an ignoreregex that matches the content forgives", () => {
  const filter = filterOf({
    prefRegex: "^ host: <F-CONTENT>.+</F-CONTENT>$",
    failRegex: ["^bad <ADDR>"],
    ignoreRegex: ["^bad 192"],
  });
  assert.equal(filter.match(`${noon} host: bad 192.0.2.1`, clockAt(noonMs)).kind, "ignored");
  assert.equal(filter.match(`${noon} host: bad 198.51.100.1`, clockAt(noonMs)).kind, "failure");
});

test("few ignoreregexes are asked first and see the whole line", () => {
  const failRegex = ["^bad <ADDR>", "^b <ADDR>", "^c <ADDR>", "^d <ADDR>"];
  const filter = filterOf({ prefRegex: "^ host: <F-CONTENT>.+</F-CONTENT>$", failRegex, ignoreRegex: ["^ host: bad"] });
  assert.equal(filter.match(`${noon} host: bad 192.0.2.1`, clockAt(noonMs)).kind, "ignored");
});

test("groups of the prefregex stay unless the failregex captures them too", () => {
  const filter = filterOf({
    prefRegex: "^ <ADDR> <F-USER>\\w+</F-USER>: <F-CONTENT>.+</F-CONTENT>$",
    failRegex: ["^bad(?: <F-USER>\\w+</F-USER>)?"],
  });
  assert.equal(failureOf(filter.match(`${noon} 192.0.2.1 one: bad`, clockAt(noonMs)))?.user, "one");
  assert.equal(failureOf(filter.match(`${noon} 192.0.2.1 one: bad two`, clockAt(noonMs)))?.user, "two");
});

test("alternative users fill an empty user, in the order of their names", () => {
  const failRegex = [
    "^ u=<F-USER>\\w*</F-USER> b=<F-ALT_USER_2>\\w*</F-ALT_USER_2> a=<F-ALT_USER_1>\\w*</F-ALT_USER_1> <ADDR>",
  ];
  const filter = filterOf({ failRegex });
  const userOf = (text: string) => failureOf(filter.match(`${noon} ${text} 192.0.2.1`, clockAt(noonMs)))?.user;
  assert.equal(userOf("u=x b=y a=z"), "x");
  assert.equal(userOf("u= b=y a=z"), "z");
  assert.equal(userOf("u= b=y a="), "y");
});

for (const [rule, regex, text, id] of [
  ["IPv6 is counted in canonical text", "^ <ADDR>$", "2001:DB8:0::1", "2001:db8::1"],
  ["mapped IPv6 is IPv4", "^ <F-ID>\\S+</F-ID>$", "::ffff:192.0.2.1", "192.0.2.1"],
  ["octets out of range make a text id", "^ <ADDR>$", "999.1.1.1", "999.1.1.1"],
  ["leading zeros make a text id", "^ <ADDR>$", "192.0.2.01", "192.0.2.01"],
  ["a prefix masks the address", "^ <SUBNET>$", "192.0.2.77/24", "192.0.2.0/24"],
  ["a chosen id beats the address", "^ <F-ID>\\w+</F-ID> <ADDR>$", "bob 192.0.2.1", "bob"],
  ["a chosen address in brackets is the address", "^ <F-ID>\\S+</F-ID>$", "[2001:DB8::1]", "2001:db8::1"],
] as const) {
  test(rule, () => assert.equal(idOf({ failRegex: [regex] }, `${noon} ${text}`), id));
}

test("a chosen id keeps the address as data", () => {
  const failure = failureOf(
    filterOf({ failRegex: ["^ <F-ID>\\w+</F-ID> <ADDR>$"] }).match(`${noon} bob 192.0.2.1`, clockAt(noonMs)),
  );
  assert.equal(failure?.ip, "192.0.2.1");
});

test("names are handed out to be resolved, used as they are, or not matched, as usedns says", () => {
  const line = `${noon} mail.example.com`;
  const failureWith = (useDns: UseDns, regex = "^ <HOST>$") =>
    failureOf(filterOf({ failRegex: [regex] }, useDns).match(line, clockAt(noonMs)));
  assert.equal(failureWith("yes")?.name, "mail.example.com");
  assert.equal(failureWith("warn")?.name, "mail.example.com");
  assert.equal(failureWith("raw")?.id, "mail.example.com");
  assert.equal(failureWith("raw")?.name, null);
  assert.equal(failureWith("no"), undefined);
  assert.equal(failureWith("no", "^ <DNS>$"), undefined);
});

test("a live date more than a minute off counts as now", () => {
  const filter = filterOf({ failRegex: ["^ bad <ADDR>$"] });
  const atMs = (nowMs: number) => failureOf(filter.match(`${noon} bad 192.0.2.1`, clockAt(nowMs, "live")))?.atMs;
  assert.equal(atMs(noonMs + minute), noonMs);
  assert.equal(atMs(noonMs + minute + 1000), noonMs + minute + 1000);
  assert.equal(atMs(noonMs - 61_000), noonMs - 61_000);
});

test("while catching up, lines older than findtime are dropped", () => {
  const filter = filterOf({ failRegex: ["^ bad <ADDR>$"] });
  const kind = (nowMs: number) => filter.match(`${noon} bad 192.0.2.1`, clockAt(nowMs, "catchUp")).kind;
  assert.equal(kind(noonMs + 600_000), "failure");
  assert.equal(kind(noonMs + 600_001), "missed");
});

test("a failure is never dated in the future", () => {
  const filter = filterOf({ failRegex: ["^ bad <ADDR>$"] });
  assert.equal(failureOf(filter.match(`${noon} bad 192.0.2.1`, clockAt(noonMs - 5000, "live")))?.atMs, noonMs - 5000);
});

test("a line without a date takes the last one of the last minute, else now, else nothing", () => {
  const filter = filterOf({ failRegex: ["^ ?bad <ADDR>$"] });
  assert.equal(filter.match("bad 192.0.2.1", clockAt(noonMs, "catchUp")).kind, "missed");
  filter.match(`${noon} hello`, clockAt(noonMs));
  assert.equal(failureOf(filter.match("bad 192.0.2.1", clockAt(noonMs + 59_000, "live")))?.atMs, noonMs);
  assert.equal(failureOf(filter.match("bad 192.0.2.1", clockAt(noonMs + minute, "live")))?.atMs, noonMs + minute);
});

test("a line that came with its time is not searched for a date", () => {
  const filter = filterOf({ failRegex: ["^bad <ADDR> at <F-WHEN>.*</F-WHEN>$"], dateless: true });
  const failure = failureOf(
    filter.match(`bad 192.0.2.1 at ${noon}`, { ...clockAt(noonMs + 5000), lineAtMs: noonMs + 1000 }),
  );
  assert.equal(failure?.atMs, noonMs + 1000);
  assert.equal(failure?.data.get("when"), noon);
});

test("a folded line counts as often as it says, at most a hundred times", () => {
  const filter = filterOf({ failRegex: ["^ host sshd\\[\\d+\\]: bad .* from <ADDR>$"] });
  const match = (text: string) => failureOf(filter.match(`${noon} host sshd[7]: ${text}`, clockAt(noonMs)));
  assert.equal(match("message repeated 3 times: [ bad x from 192.0.2.1]")?.count, 3);
  assert.equal(match("message repeated 5000 times: [ bad x from 192.0.2.1]")?.count, 100);
  assert.equal(match("bad message repeated 9 times: [ bad x from 198.51.100.1] from 192.0.2.1")?.count, 1);
  assert.equal(match("bad message repeated 9 times: [ bad x from 198.51.100.1] from 192.0.2.1")?.id, "192.0.2.1");
  assert.equal(match("hello message repeated 9 times: [ bad x from 198.51.100.1]"), undefined);
});

test("a filter that knows folded lines counts them as often, too", () => {
  const filter = filterOf({
    failRegex: [
      "^ h d: (?:message repeated \\d+ times: \\[ )?bad <ADDR>",
      "^ h d: message repeated \\d+ times: \\[ own <ADDR>",
    ],
  });
  const match = (text: string) =>
    failureOf(filter.match(`${noon} h d: message repeated 3 times: [ ${text}]`, clockAt(noonMs)));
  assert.equal(match("bad 192.0.2.1")?.count, 3);
  assert.equal(match("own 192.0.2.1")?.count, 1);
});

test("lines of a multi-line failure are used up, skipped ones stay", () => {
  const failRegex = ["^ (?P<id>\\w+) open <ADDR>$<SKIPLINES>^ (?P=id) fail$"];
  const filter = filterOf({ failRegex, maxLines: 5 });
  const feed = (text: string) => filter.match(`${noon} ${text}`, clockAt(noonMs));
  assert.equal(feed("a open 192.0.2.1").kind, "missed");
  assert.equal(feed("b open 192.0.2.2").kind, "missed");
  const first = feed("a fail");
  assert.equal(failureOf(first)?.id, "192.0.2.1");
  assert.equal(first.kind === "failure" && first.consumedLines, 1);
  assert.equal(failureOf(feed("b fail"))?.id, "192.0.2.2");
  assert.equal(feed("a fail").kind, "missed");
});

test("text beyond ASCII is matched with Python's classes", () => {
  const filter = filterOf({ failRegex: ["^ <F-USER>\\w+</F-USER> <ADDR>$"] });
  assert.equal(failureOf(filter.match(`${noon} Jürgen 192.0.2.1`, clockAt(noonMs)))?.user, "Jürgen");
});

test("a regex without anybody to blame is left out, and the jail learns it", () => {
  const filter = filterOf({ failRegex: ["^ bad <ADDR>$", "^ bad$"] });
  assert.match(filter.warnings.join(), /failregex 2.*no tag says whom to blame/);
  assert.throws(() => filterOf({ failRegex: ["^ bad$"] }), /no usable failregex/);
  assert.throws(() => filterOf({ failRegex: ["^ <ADDR>"], prefRegex: "(" }), /prefregex.*parenthesis/);
  assert.throws(() => filterOf({ failRegex: ["^ <ADDR> <F-TUPLE_ID>a</F-TUPLE_ID>"] }), /TUPLE/);
});
