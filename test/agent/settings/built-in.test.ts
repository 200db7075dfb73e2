import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { FilterReport } from "../../../agent/filters/filter-report.ts";
import { lintFilter } from "../../../agent/settings/lint-filter.ts";
import { builtInConfigDir, loadFilter, loadSettings } from "../../../agent/settings/load-settings.ts";
import { readCorpus } from "./corpus.ts";
import { forgedLines, forgedNames, peer } from "./forged-lines.ts";
import { oracleMissing } from "./oracle.ts";

const samples = readCorpus();
const references = [...new Set(samples.map((sample) => sample.filter))];
const filters = new Map(references.map((reference) => [reference, loadFilter(builtInConfigDir(), reference)]));

const Found = z.array(z.object({ ip: z.string(), user: z.string().nullable(), regex: z.int() }).nullable());

function matchWithFail2ban(lines: readonly Readonly<{ filter: string; line: string }>[]) {
  const asked = {
    filters: Object.fromEntries([...filters].map(([name, filter]) => [name, { ...filter, useDns: "no" }])),
    samples: lines,
  };
  const script = join(import.meta.dirname, "run-filter.py");
  const input = JSON.stringify(asked);
  return Found.parse(JSON.parse(execFileSync("python3", [script], { input, encoding: "utf8", maxBuffer: 1 << 26 })));
}

test("our engine finds in every sample line what the corpus says", () => {
  const clock = { nowMs: Date.parse("2026-11-22T12:00:00Z"), mode: "any", findTimeMs: 0 } as const;
  for (const [reference, settings] of filters) {
    const own = samples.filter((sample) => sample.filter === reference);
    const filter = compileFilter(settings, { useDns: "no", timezone: "UTC" });
    assert.deepEqual(filter.warnings, [], reference);
    const report = new FilterReport(filter, clock, (trouble) => assert.fail(JSON.stringify(trouble)));
    const rows = report.add(Buffer.from(own.map((sample) => `${sample.line}\n`).join("")));
    const found = new Map(rows.map((row) => [row.line, row]));
    for (const [index, sample] of own.entries()) {
      const row = found.get(index + 1);
      assert.equal(row?.ip ?? null, sample.ip, `${sample.place}: ${sample.line}`);
      if (sample.user !== undefined) assert.equal(row?.user ?? "", sample.user, sample.place);
    }
  }
});

test("fail2ban itself finds in every sample line what the corpus says", { skip: oracleMissing() ?? false }, () => {
  const wrong: string[] = [];
  const hit = new Map(references.map((reference) => [reference.replace(/\[.*/, ""), new Set<string>()]));
  for (const [index, found] of matchWithFail2ban(samples).entries()) {
    const sample = samples[index];
    assert.ok(sample);
    const expected = sample.ip === null ? "no failure" : `${sample.ip} ${sample.user ?? ""}`;
    const seen = found === null ? "no failure" : `${found.ip} ${sample.user === undefined ? "" : found.user}`;
    if (seen !== expected) wrong.push(`${sample.place}: ${seen}, not ${expected}\n  ${sample.line}`);
    if (found !== null) {
      hit.get(sample.filter.replace(/\[.*/, ""))?.add(filters.get(sample.filter)?.failRegex[found.regex] ?? "");
    }
  }
  assert.deepEqual(wrong, []);
  const unused = [...filters].flatMap(([reference, filter]) => {
    const seen = hit.get(reference.replace(/\[.*/, ""));
    return filter.failRegex.filter((regex) => !seen?.has(regex)).map((regex) => `${reference}: ${regex}`);
  });
  assert.deepEqual(unused, [], "no sample line hits these");
});

test("no name, however it is made up, makes a built-in filter accuse anybody but the client", {
  skip: oracleMissing() ?? false,
}, () => {
  const plain = forgedLines("bob");
  const found = matchWithFail2ban(plain).map((each) => each?.ip);
  assert.deepEqual(
    plain.filter((_, index) => found[index] !== peer),
    [],
    "these lines say nothing to their filter",
  );
  const lines = forgedNames(400).flatMap((name) => forgedLines(name));
  const accused = matchWithFail2ban(lines).flatMap((found, index) =>
    found === null || found.ip === peer ? [] : [`${found.ip}: ${lines[index]?.line}`],
  );
  assert.deepEqual(accused, []);
});

test("every built-in jail loads without a warning once it is enabled", () => {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-built-in-"));
  try {
    cpSync(builtInConfigDir(), dir, { recursive: true });
    writeFileSync(join(dir, "jail.local"), "[DEFAULT]\nenabled = true\n");
    const settings = loadSettings(dir, { hasJournal: false });
    assert.deepEqual(settings.broken, []);
    assert.deepEqual(settings.warnings, []);
    assert.ok(settings.jails.length >= 18);
    for (const jail of settings.jails) assert.deepEqual(jail.warnings, [], jail.name);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("no built-in jail runs unless its operator says so", () => {
  assert.deepEqual(loadSettings(builtInConfigDir()).jails, []);
});

test("every built-in filter has a corpus, and every mode of it is free of patterns an attacker could bend", () => {
  const shared = new Set(["syslog", "common", "exim-client", "nginx-error", "web-access"]);
  const names = readdirSync(join(builtInConfigDir(), "filter.d")).map((file) => file.replace(/\.conf$/, ""));
  for (const name of names.filter((each) => !shared.has(each))) {
    assert.ok(references.includes(name), `test/corpus/${name}.log is missing`);
  }
  for (const filter of filters.values()) assert.deepEqual(lintFilter(filter), []);
});
