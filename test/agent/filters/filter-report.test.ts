import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { z } from "zod";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { FilterReport } from "../../../agent/filters/filter-report.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { sampleLogDirectory, withoutFail2ban } from "../fail2ban-oracle.ts";
import { clockAt, filterOf, noon, noonMs } from "./filter-support.ts";

const Counts = z.object({ lines: z.int(), matched: z.int(), ignored: z.int(), missed: z.int() });

function report(filter: Filter, log: Buffer, chunkBytes = 65_536, takeHalfLine = false) {
  const troubles: unknown[] = [];
  const filterReport = new FilterReport(filter, clockAt(noonMs), (trouble) => troubles.push(trouble));
  const rows: unknown[] = [];
  for (let at = 0; at < log.length; at += chunkBytes) rows.push(...filterReport.add(log.subarray(at, at + chunkBytes)));
  rows.push(...filterReport.finish(takeHalfLine));
  assert.deepEqual(troubles, []);
  return rows;
}

const log = Buffer.from(
  [
    "# comment",
    "",
    `${noon} bad 192.0.2.1 root`,
    "\r",
    `${noon} hello`,
    "#",
    `${noon} harmless 192.0.2.1`,
    `${noon} bad 192.0.2.2 ö`,
  ].join("\n"),
);
const filter = () =>
  filterOf({ failRegex: ["^ bad <ADDR> <F-USER>.*</F-USER>$", "^ <F-NOFAIL>harmless</F-NOFAIL> <ADDR>$"] });

for (const chunkBytes of [1, 7, 65_536]) {
  test(`rows carry the line of the log, however it is cut (${chunkBytes} bytes)`, () => {
    assert.deepEqual(report(filter(), log, chunkBytes, true), [
      { line: 3, id: "192.0.2.1", ip: "192.0.2.1", time: noonMs / 1000, user: "root" },
      { line: 8, id: "192.0.2.2", ip: "192.0.2.2", time: noonMs / 1000, user: "ö" },
      { lines: 4, matched: 2, ignored: 1, missed: 1 },
    ]);
  });
}

test("a last line that is still being written is left out unless it is asked for", () => {
  const half = Buffer.from(`${noon} bad 192.0.2.1 x\n${noon} bad 192.0.2.2 x`);
  assert.deepEqual(report(filter(), half).at(-1), { lines: 1, matched: 1, ignored: 0, missed: 0 });
  assert.deepEqual(report(filter(), half, 65_536, true).at(-1), { lines: 2, matched: 2, ignored: 0, missed: 0 });
});

test("earlier lines of a multi-line failure count as matched", () => {
  const many = filterOf({ failRegex: ["^ open <ADDR>$<SKIPLINES>^ fail$"], maxLines: 5 });
  const rows = report(many, Buffer.from(`${noon} open 192.0.2.1\n${noon} other\n${noon} fail\n`));
  assert.deepEqual(rows.at(-1), { lines: 3, matched: 2, ignored: 0, missed: 1 });
});

test("a folded line is one row with its count", () => {
  const folded = filterOf({ failRegex: ["^ h d: bad <ADDR>$"] });
  const [row] = report(folded, Buffer.from(`${noon} h d: message repeated 4 times: [ bad 192.0.2.1]\n`));
  assert.deepEqual(row, { line: 1, id: "192.0.2.1", ip: "192.0.2.1", time: noonMs / 1000, user: null, count: 4 });
});

describe("fail2ban-regex", { skip: withoutFail2ban }, () => {
  test("counts the same lines of its own sample logs", () => {
    process.env["TZ"] = "UTC";
    const directory = mkdtempSync(join(tmpdir(), "fleet2ban-report-"));
    try {
      for (const name of ["sshd", "dovecot", "slapd", "mongodb-auth", "sogo-auth"]) {
        const copy = join(directory, name);
        writeFileSync(copy, readFileSync(join(sampleLogDirectory, name)));
        const rows = report(
          compileFilter(loadFilter("/etc/fail2ban", name), { useDns: "raw", timezone: null }),
          readFileSync(copy),
        );
        assert.deepEqual(unite(rows.at(-1)), unite(countsOfFail2ban(copy, name)), name);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

/** Without `--no-check-all` it goes on after the first regex that matches, which jails do not; with it, what is no failure by itself counts as missed. */
function unite(counts: unknown) {
  const { lines, matched, ignored, missed } = Counts.parse(counts);
  return { lines, matched, rest: ignored + missed };
}

function countsOfFail2ban(file: string, name: string) {
  const command = ["/usr/bin/fail2ban-regex", "--raw", "--no-check-all", file, name];
  const { stdout } = spawnSync("/usr/bin/python3", command, {
    encoding: "utf8",
    env: { TZ: "UTC", LC_ALL: "C.UTF-8", PATH: "/usr/bin" },
  });
  const counts = /^Lines: (\d+) lines, (\d+) ignored, (\d+) matched, (\d+) missed/m.exec(stdout);
  const [lines, ignored, matched, missed] = (counts ?? []).slice(1).map(Number);
  return { lines, matched, ignored, missed };
}
