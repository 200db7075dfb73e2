import assert from "node:assert/strict";
import { test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import { builtInConfigDir, loadFilter } from "../../../agent/settings/load-settings.ts";
import { noonMs } from "../filters/filter-support.ts";
import { readCorpus } from "./corpus.ts";

/** Far above what a daemon writes; a search that is quadratic needs hundreds of milliseconds for it. */
const lineLength = 60_000;
/** Linear searches take one or two. */
const cpuMsMax = 40;
const repeated = [
  "../",
  " sqlmap",
  " from 198.51.100.66",
  "[",
  "<",
  '"',
  "a=b ",
  ", rip=198.51.100.66",
  "user ",
  " 1.",
];

test("no line, whatever is repeated in it, takes a built-in filter longer than its length", () => {
  const filters = new Map<string, Filter>();
  const slow: string[] = [];
  for (const [index, { filter: reference, line, ip }] of readCorpus().entries()) {
    if (ip === null) continue;
    const settings = loadFilter(builtInConfigDir(), reference);
    const filter = filters.get(reference) ?? compileFilter(settings, { useDns: "no", timezone: "UTC" });
    filters.set(reference, filter);
    const borders = [...line.matchAll(/[\s"'<[(=]/g)].map((match) => match.index + 1);
    // Every line in turn has another of its words blown up, and is cut there, or not.
    const at = borders[index % borders.length] ?? line.length;
    for (const [number, text] of repeated.entries()) {
      const blown = text.repeat(Math.ceil(lineLength / text.length));
      const long = line.slice(0, at) + blown + ((index + number) % 2 === 0 ? line.slice(at) : "");
      // What interrupts one try, the garbage collector say, does not interrupt all.
      if (Math.min(cpuMsOf(filter, long), cpuMsOf(filter, long), cpuMsOf(filter, long)) > cpuMsMax) {
        slow.push(`${reference}: ${line.slice(0, at)}(${text})*`);
      }
    }
  }
  assert.deepEqual(slow, []);
});

for (const [reference, request, agent] of [
  ["nginx-botsearch", "../", "x"],
  ["apache-scanners", "../", "x"],
  ["apache-scanners", "x", "sqlmap "],
] as const) {
  test(`a client that is served cannot keep ${reference} busy by repeating ${JSON.stringify(agent + request)}`, () => {
    const settings = loadFilter(builtInConfigDir(), reference);
    const filter = compileFilter(settings, { useDns: "no", timezone: "UTC" });
    const path = `/${request.repeat(600)}?${"x".repeat(lineLength)}`;
    const name = agent.repeat(lineLength / 7);
    const line = `192.0.2.2 - - [01/Mar/2026:11:59:59 +0000] "GET ${path} HTTP/1.1" 200 153 "-" "${name}`;
    assert.ok(Math.min(cpuMsOf(filter, line), cpuMsOf(filter, line), cpuMsOf(filter, line)) < 20);
  });
}

function cpuMsOf(filter: Filter, line: string): number {
  const before = process.cpuUsage();
  filter.match(line, { nowMs: noonMs, mode: "any", findTimeMs: 0 });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
