import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import { builtInConfigDir, loadFilter } from "../../../agent/settings/load-settings.ts";
import { formatAddress, parseAddress } from "../../../shared/address.ts";
import { withoutFail2ban } from "../fail2ban-oracle.ts";
import { openSampleSuite, type Sample } from "../filters/sample-suite.ts";
import { type AcceptedDifference, acceptedDifferences } from "./accepted-differences.ts";

/** The moment at which fail2ban's own tests replay the samples: 2005-08-14T10:00:00Z. */
const nowMs = 1_124_013_600_000;

type Difference = Readonly<{ filter: string; kind: AcceptedDifference["kind"]; line: string }>;

function differenceOf(sample: Sample, name: string, filter: Filter): Difference | undefined {
  const clock = { nowMs, mode: "any", findTimeMs: 0, ...(sample.journal ? { lineAtMs: nowMs } : {}) } as const;
  const outcome = filter.match(sample.line, clock);
  const found = outcome.kind === "failure" ? outcome.failure : undefined;
  const difference = (kind: Difference["kind"]) => ({ filter: name, kind, line: sample.line });
  if (sample.expected["match"] !== true) return found === undefined ? undefined : difference("extra");
  if (found === undefined) return difference("missed");
  return found.ip === canonical(String(sample.expected["host"])) ? undefined : difference("other address");
}

function canonical(text: string): string {
  const net = parseAddress(text);
  return net === undefined ? text : formatAddress(net);
}

function differences(samples: readonly Sample[], names: ReadonlySet<string>) {
  const filters = new Map<string, Filter>();
  const found = new Map<string, Difference>();
  let count = 0;
  for (const sample of samples) {
    const name = sample.reference.replace(/\[.*/s, "");
    if (!names.has(name) || sample.configDir !== "/etc/fail2ban") continue;
    let filter = filters.get(sample.instance);
    if (filter === undefined) {
      filter = compileFilter(loadFilter(builtInConfigDir(), sample.reference), { useDns: "no", timezone: null });
      filters.set(sample.instance, filter);
    }
    count += 1;
    const difference = differenceOf(sample, name, filter);
    if (difference !== undefined) found.set(JSON.stringify(difference), difference);
  }
  return { count, found: [...found.values()] };
}

describe("our filters on fail2ban's annotated sample logs", { skip: withoutFail2ban }, () => {
  const timezoneBefore = process.env["TZ"];
  before(() => {
    process.env["TZ"] = "Europe/Zurich";
  });
  after(() => {
    if (timezoneBefore === undefined) delete process.env["TZ"];
    else process.env["TZ"] = timezoneBefore;
  });

  test("every difference has a reason, and no reason grows", (context) => {
    using suite = openSampleSuite();
    const names = new Set(readdirSync(join(builtInConfigDir(), "filter.d")).map((file) => file.replace(/\.conf$/, "")));
    const { count, found } = differences(suite.samples, names);
    assert.ok(count > 600, `only ${count} samples`);
    const byReason = Map.groupBy(found, (each) =>
      acceptedDifferences.find(
        ({ filter, kind, line }) => filter === each.filter && kind === each.kind && line.test(each.line),
      ),
    );
    for (const [accepted, lines] of byReason) {
      if (accepted === undefined) continue;
      context.diagnostic(`${accepted.filter}: ${lines.length} ${accepted.kind}: ${accepted.reason}`);
    }
    const unexplained = (byReason.get(undefined) ?? []).map(({ filter, kind, line }) => `${filter}: ${kind}: ${line}`);
    assert.deepEqual(unexplained, []);
    const grown = acceptedDifferences.filter((each) => (byReason.get(each)?.length ?? 0) > each.linesMax);
    assert.deepEqual(grown, []);
    const unused = acceptedDifferences.filter((each) => !byReason.has(each));
    assert.deepEqual(unused, [], "no such line any more: remove the reason");
  });
});
