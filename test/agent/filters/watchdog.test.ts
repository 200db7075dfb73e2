import assert from "node:assert/strict";
import { test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { createLogFilters } from "../../../agent/filters/filter-log.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import type { Trouble } from "../../../agent/filters/watchdog.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { withoutFail2ban } from "../fail2ban-oracle.ts";
import { clockAt, filterOf, noon, noonMs } from "./filter-support.ts";

/** Short, and blaming even under load: the tests' machine may be busy. */
const limits = { batchMs: 200, lineMs: 100, cpuShareMin: 0.01 };
const exploding = `${"a".repeat(40)}!`;

function run(filters: readonly Filter[], lines: readonly string[]) {
  const troubles: Trouble[] = [];
  const found: string[] = [];
  const log = createLogFilters(filters, { report: (trouble) => troubles.push(trouble), limits });
  const process = (more: readonly string[]) =>
    log.process(Buffer.from(more.map((line) => `${noon} ${line}\n`).join("")), clockAt(noonMs), (task, outcome) => {
      if (outcome.kind === "failure") found.push(`${task.filter.name} ${outcome.failure.id}`);
    });
  process(lines);
  return { troubles, found, process };
}

const bad = () => filterOf({ name: "bad", failRegex: ["^ bad (?:a+)+ <ADDR>$", "^ bad <ADDR>$"] });
const good = () => filterOf({ name: "good", failRegex: ["^ bad \\S+ <ADDR>$", "^ bad <ADDR>$"] });

test("a line that explodes is skipped for that filter, and no other line or filter suffers", () => {
  const { troubles, found } = run([bad(), good()], ["bad 192.0.2.1", `bad ${exploding} 192.0.2.2`, "bad 192.0.2.3"]);
  assert.deepEqual(found, ["bad 192.0.2.1", "good 192.0.2.1", "good 192.0.2.2", "bad 192.0.2.3", "good 192.0.2.3"]);
  assert.equal(troubles.length, 1);
  assert.equal(troubles[0]?.kind, "skipped");
  assert.match(troubles[0]?.kind === "skipped" ? String(troubles[0].place) : "", /failregex 1/);
});

test("after three lines the regex is suspended, and the others go on", () => {
  const explodingLine = `bad ${exploding} 192.0.2.2`;
  const { troubles, found, process } = run([bad()], [explodingLine, explodingLine, explodingLine]);
  assert.deepEqual(
    troubles.map((each) => each.kind),
    ["skipped", "skipped", "skipped", "suspended"],
  );
  process([explodingLine, "bad 192.0.2.1"]);
  assert.equal(troubles.length, 4);
  assert.deepEqual(found, ["bad 192.0.2.1"]);
});

test("long lines that explode blind a filter for long lines only", () => {
  const long = `bad ${"a".repeat(3000)}! 192.0.2.2`;
  const { troubles, found, process } = run([bad()], [long, long, long]);
  assert.deepEqual(troubles.at(-1), {
    kind: "suspended",
    filter: "bad",
    place: 'filter "bad": failregex 1',
    lines: "long",
  });
  process([long, "bad aaa 192.0.2.1"]);
  assert.deepEqual(found, ["bad 192.0.2.1"]);
});

test("a date pattern that explodes is stopped, too", () => {
  const filter = filterOf({ name: "dates", failRegex: ["^.*bad <ADDR>$"], datePattern: "^\\S+ bad (?:a+)+b%Y" });
  const { troubles } = run([filter], [`bad ${exploding} 192.0.2.2`]);
  assert.match(troubles[0]?.kind === "skipped" ? String(troubles[0].place) : "", /datepattern/);
});

test("a line longer than any daemon writes is skipped and reported", () => {
  const { troubles, found } = run([good()], [`bad ${"a".repeat(70_000)} 192.0.2.2`, "bad 192.0.2.1"]);
  assert.deepEqual(found, ["good 192.0.2.1"]);
  assert.equal(troubles.length, 1);
  assert.equal(troubles[0]?.kind === "skipped" && troubles[0].place, null);
});

test("a multi-line filter keeps its lines when one of them is skipped", () => {
  const failRegex = ["^ open <ADDR>$<SKIPLINES>^ fail (?:a+)+$"];
  const { troubles, found } = run(
    [filterOf({ name: "many", failRegex, maxLines: 3 })],
    ["open 192.0.2.1", `fail ${exploding}`, "fail aa"],
  );
  assert.equal(troubles.length, 1);
  assert.deepEqual(found, ["many 192.0.2.1"]);
});

for (const [name, line] of [
  ["dovecot", `Mar  1 12:00:00 h dovecot: imap-login: Disconnected${": a".repeat(40)} (x`],
  ["domino-smtp", `01-03-2026 12:00:00   smtp: ${"a ".repeat(60)}!`],
] as const) {
  test(`the known explosion of fail2ban 1.0's ${name} filter is stopped`, { skip: withoutFail2ban }, () => {
    const filter = compileFilter(loadFilter("/etc/fail2ban", name), { useDns: "no", timezone: "UTC" });
    const troubles: Trouble[] = [];
    const log = createLogFilters([filter], { report: (trouble) => troubles.push(trouble), limits, gated: false });
    log.process(Buffer.from(`${line}\n`), clockAt(noonMs), () => assert.fail("the line is no failure"));
    assert.deepEqual(
      troubles.map((each) => each.kind),
      ["skipped"],
    );
  });
}

test("a chunk of more failures than one batch holds is told in order, none twice and none left out", () => {
  const ids = Array.from({ length: 5000 }, (_, index) => `192.0.${index >> 8}.${index & 255}`);
  const { found, troubles } = run(
    [good()],
    ids.map((id) => `bad ${id}`),
  );
  assert.deepEqual(
    found,
    ids.map((id) => `good ${id}`),
  );
  assert.deepEqual(troubles, []);
});
