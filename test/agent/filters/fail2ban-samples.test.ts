import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import type { FoundFailure, LineClock } from "../../../agent/filters/found-failure.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { parseAddress } from "../../../shared/address.ts";
import { withoutFail2ban } from "../fail2ban-oracle.ts";
import { openSampleSuite, type Sample } from "./sample-suite.ts";

/** The moment at which fail2ban's own tests replay the samples: 2005-08-14T10:00:00Z. */
const nowMs = 1_124_013_600_000;
const clock: LineClock = { nowMs, mode: "any", findTimeMs: 0 };

describe("fail2ban's annotated sample logs", { skip: withoutFail2ban }, () => {
  const timezoneBefore = process.env["TZ"];
  before(() => {
    process.env["TZ"] = "Europe/Zurich";
  });
  after(() => {
    if (timezoneBefore === undefined) delete process.env["TZ"];
    else process.env["TZ"] = timezoneBefore;
  });

  test("every sample is matched or not, with the address, time and groups fail2ban expects", () => {
    using suite = openSampleSuite();
    const { samples } = suite;
    assert.ok(samples.length > 1600, `only ${samples.length} samples found`);
    const filters = new Map<string, Filter>();
    const wrong: string[] = [];
    for (const sample of samples) {
      let filter = filters.get(sample.instance);
      if (filter === undefined) {
        filter = compileFilter(loadFilter(sample.configDir, sample.reference), { useDns: "raw", timezone: null });
        filters.set(sample.instance, filter);
      }
      const problem = problemOf(sample, filter);
      if (problem !== undefined) wrong.push(`${sample.reference} ${sample.place}: ${problem}: ${sample.line}`);
    }
    assert.deepEqual(wrong, []);
  });
});

function problemOf(sample: Sample, filter: Filter): string | undefined {
  const outcome = filter.match(sample.line, sample.journal ? { ...clock, lineAtMs: nowMs } : clock);
  if (outcome.kind !== "failure") return sample.expected["match"] === true ? `is ${outcome.kind}` : undefined;
  const { failure } = outcome;
  if (sample.expected["match"] !== true) return "matches, but should not";
  for (const [key, expected] of Object.entries(sample.expected)) {
    const actual = foundAndExpected(key, failure, expected);
    if (actual !== undefined && JSON.stringify(actual[0]) !== JSON.stringify(actual[1])) {
      return `${key} is ${JSON.stringify(actual[0])}, should be ${JSON.stringify(actual[1])}`;
    }
  }
  return undefined;
}

/** What we found for a key of the annotation, and what fail2ban expects there. */
function foundAndExpected(key: string, failure: FoundFailure, expected: unknown): [unknown, unknown] | undefined {
  switch (key) {
    case "match":
    case "desc":
    case "constraint":
      return undefined;
    case "time":
      return expected === null ? undefined : [failure.atMs, localTimeMs(String(expected))];
    case "host":
      return [canonical(failure.ip ?? failure.data.get("dns") ?? failure.id), canonical(String(expected))];
    case "users":
      return [[...(failure.users ?? [])].toSorted(), Array.isArray(expected) ? expected.toSorted() : expected];
    case "attempts":
      return [failure.lines.length, expected];
    default:
      return [failure.data.get(key) ?? null, expected];
  }
}

/** Equal addresses spelled differently are equal. */
function canonical(text: string): string {
  const net = parseAddress(text);
  return net === undefined ? text : String(net.value);
}

/** One annotation writes its day with one digit. */
function localTimeMs(text: string): number {
  return new Date(text.replace(/-(\d)T/, "-0$1T")).getTime();
}
