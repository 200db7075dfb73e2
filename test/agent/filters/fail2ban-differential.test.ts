import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { z } from "zod";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { parseAddress } from "../../../shared/address.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { noonMs } from "./filter-support.ts";
import { hostileFilters, hostileLine } from "./hostile-lines.ts";
import { mutated } from "./mutated-lines.ts";
import { openSampleSuite } from "./sample-suite.ts";
import { seededRandom } from "./seeded-random.ts";

/**
 * fail2ban's own filter over lines, in the way its jails use it: one [id, time, user, lines, users] per failure. Three
 * rules of ours are put into it: what a failregex did not capture leaves what the prefregex captured (as in 1.1), the
 * newest address of a connection counts whatever family the older one was, and what a filter calls no failure is none
 * even without a connection. A line that takes it long, or on which it fails, is answered by null.
 */
const replayLines = `
import json, logging, signal, sys
from fail2ban.client.filterreader import FilterReader
from fail2ban.helpers import extractOptions
from fail2ban.server.datedetector import DateDetector
from fail2ban.server.failregex import FailRegex
from fail2ban.server.filter import Filter
from fail2ban.server.mytime import MyTime
logging.disable(logging.CRITICAL)
getGroups = FailRegex.getGroups
FailRegex.getGroups = lambda self: dict(item for item in getGroups(self).items() if item[1] is not None)
mergeFailure = Filter._mergeFailure
def mergeNewest(self, mlfid, fail, failRegex):
    known = self.mlfidCache.get(mlfid)
    if known and any(fail.get(group) for group in ("ip4", "ip6", "dns")):
        for group in ("ip4", "ip6", "dns", "cidr"): known[1].pop(group, None)
    return mergeFailure(self, mlfid, fail, failRegex)
Filter._mergeFailure = mergeNewest
asked = json.load(sys.stdin)
now = asked["now"]
MyTime.setTime(now); MyTime.setAlternateNow(now)
def late(*_): raise TimeoutError()
signal.signal(signal.SIGALRM, late)
def replay(log):
    name, options = extractOptions(log["reference"])
    reader = FilterReader(name, "jail", options, basedir=log["configDir"])
    reader.read(); reader.getOptions({})
    found = Filter(None); found.checkFindTime = False; found.setUseDns(log["useDns"])
    add = {"addfailregex": found.addFailRegex, "addignoreregex": found.addIgnoreRegex}
    for command in reader.convert():
        for value in command[3] if command[0] == "multi-set" else [command[3]]:
            if command[2] in add: add[command[2]](value)
            elif command[2] == "prefregex": found.prefRegex = value
            elif command[2] == "maxlines": found.setMaxLines(value)
            elif command[2] == "datepattern": found.setDatePattern(value)
    for known in DateDetector._defCache.templates: known.hits = 0  # shared between detectors
    def find(line):
        signal.setitimer(signal.ITIMER_REAL, 0.25)
        try:
            failures = found.processLine(("", "a date", line), now) if log["journal"] else found.processLine(line)
            return [[str(fid), now if at is None else at, fail.get("user"), len(fail.get("matches", [])),
                sorted(fail.get("users") or [])] for _, fid, at, fail in failures if not fail.get("nofail")]
        except Exception: return None
        finally: signal.setitimer(signal.ITIMER_REAL, 0)
    return [find(line) for line in log["lines"]]
print(json.dumps([replay(log) for log in asked["logs"]]))
`;

const Row = z.tuple([z.string(), z.number(), z.string().nullable(), z.int(), z.array(z.string())]);
const Answers = z.array(z.array(z.array(Row).nullable()));

type Log = Readonly<{
  configDir: string;
  reference: string;
  useDns: "no" | "raw";
  /** The time comes with the line. */
  journal: boolean;
  lines: readonly string[];
}>;

/** Fails at the first line in which fail2ban and we find different failures; says how many both found. */
function compareLogs(logs: readonly Log[], nowMs: number, timezone: string): { lines: number; failures: number } {
  process.env["TZ"] = timezone;
  const answers = Answers.parse(askFail2ban(replayLines, { now: nowMs / 1000, logs }, timezone));
  const counts = { lines: 0, failures: 0 };
  for (const [index, { configDir, reference, useDns, journal, lines }] of logs.entries()) {
    const filter = compileFilter(loadFilter(configDir, reference), { useDns, timezone: null });
    const clock = { nowMs, mode: "any", findTimeMs: 0, ...(journal ? { lineAtMs: nowMs } : {}) } as const;
    for (const [at, line] of lines.entries()) {
      const answer = answers[index]?.[at];
      if (answer === null || answer === undefined) continue;
      const outcome = filter.match(line, clock);
      const failures = outcome.kind === "failure" ? [outcome.failure] : [];
      const ours = failures.map((each) => [
        addressValue(each.id),
        each.atMs / 1000,
        each.user,
        each.lines.length,
        [...(each.users ?? [])].toSorted(),
      ]);
      const theirs = answer.map(([id, ...rest]) => [addressValue(id), ...rest]);
      assert.deepEqual(ours, theirs, `${reference}, line ${at}: ${JSON.stringify(line)}`);
      counts.lines += 1;
      counts.failures += ours.length;
    }
  }
  return counts;
}

/** fail2ban spells `::ffff:1` in an old way, `::255.255.0.1`. */
function addressValue(id: string): string {
  const net = parseAddress(id);
  return net === undefined ? id : String(net.value);
}

describe("fail2ban and we, line by line", { skip: withoutFail2ban }, () => {
  before(() => {
    process.env["TZ"] = "UTC";
  });

  test("find the same failures in hostile logs, with the same times, users and lines", () => {
    const random = seededRandom(99);
    const lines = new Map<string, string[]>(hostileFilters.map((reference) => [reference, []]));
    for (let index = 0; index < 8000; index += 1) {
      const { filter, line } = hostileLine(random);
      lines.get(filter)?.push(line);
    }
    const common = { configDir: "/etc/fail2ban", useDns: "no", journal: false } as const;
    const logs = [...lines].map(([reference, its]) => ({ ...common, reference, lines: its }));
    compareLogs(logs, noonMs, "UTC");
  });

  test("find the same in changed sample lines of every stock filter, in every mode of it", (context) => {
    using suite = openSampleSuite();
    const random = seededRandom(Number(process.env["FLEET2BAN_SEED"] ?? 7));
    const instances = Map.groupBy(suite.samples, (sample) => sample.instance + sample.reference);
    const logs = [...instances.values()].flatMap(([first, ...more]) => {
      if (first === undefined) return [];
      const { configDir, reference, journal } = first;
      const samples = [first, ...more].map((sample) => sample.line);
      const useDns = random.pick(["no", "raw"] as const);
      // fail2ban takes these for line ends in what a multi-line filter skips.
      const ends = loadFilter(configDir, reference).maxLines > 1 ? /[\r\x1c\u2028]/g : /\n/g;
      const lines = samples.flatMap((line) => [
        line,
        ...Array.from({ length: 9 }, () => mutated(random, line, samples).replaceAll(ends, " ")),
      ]);
      return [{ configDir, reference, useDns, journal, lines }];
    });
    // The moment at which fail2ban's own tests replay the samples.
    const { lines, failures } = compareLogs(logs, 1_124_013_600_000, "Europe/Zurich");
    context.diagnostic(`${logs.length} filters with their options, ${lines} lines, ${failures} failures`);
    assert.ok(logs.length > 120 && lines > 15_000 && failures > 3000, `only ${failures} failures in ${lines} lines`);
  });
});
