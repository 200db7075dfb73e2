import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import type { LineClock } from "../../../agent/filters/found-failure.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { filterOf } from "./filter-support.ts";
import { seededRandom } from "./seeded-random.ts";

/** fail2ban's filter on a clock that is set before each line, live or still catching up: [id, time] per failure. */
const followLines = `
import json, logging, sys
from fail2ban.server.datedetector import DateDetector
from fail2ban.server.filter import Filter
from fail2ban.server.mytime import MyTime
logging.disable(logging.CRITICAL)
def follow(log):
    found = Filter(None); found.setUseDns("no"); found.setFindTime(600); found.addFailRegex("bad <HOST>$")
    if log["pattern"]: found.setDatePattern(log["pattern"])
    for known in DateDetector._defCache.templates: known.hits = 0  # shared between detectors
    def find(now, mode, line):
        MyTime.setTime(now); found.inOperation = mode == "live"
        return [[str(fid), min(at, now)] for _, fid, at, _ in found.processLine(line)]
    return [find(*each) for each in log["lines"]]
print(json.dumps([follow(log) for log in json.load(sys.stdin)]))
`;
const Answers = z.array(z.array(z.array(z.tuple([z.string(), z.number()]))));

const two = (value: number) => String(value).padStart(2, "0");
const clock = (date: Date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
const month = (date: Date) => date.toLocaleString("en", { month: "short" });
const day = (date: Date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
/** Dates with and without year, zone and day; none; and two that no calendar has. */
const forms: readonly ((date: Date) => string)[] = [
  (date) => `${month(date)} ${String(date.getDate()).padStart(2)} ${clock(date)}`,
  (date) => date.toISOString(),
  (date) => `${day(date)} ${clock(date)},123`,
  (date) => `[${two(date.getDate())}/${month(date)}/${date.getFullYear()}:${clock(date)} +0000]`,
  (date) => String(Math.floor(date.getTime() / 1000)),
  clock,
  () => "",
  () => "Feb 30 00:00:00",
  () => "2026-02-30 11:11:11",
];
const patterns = [null, null, "{^LN-BEG}", "^%Y-%m-%d %H:%M:%S", "{NONE}", "EPOCH", "^\\[?({DATE})", "()**"];
/** Around noon, New Year, and both days on which Zurich's clocks change. */
const starts = [1_772_366_400, 1_767_225_590, 1_774_746_000, 1_793_494_800];
const steps = [0, 0, 1, 5, 30, 61, 300, 700];
/** How old lines are, around the limits of a minute, of findtime and of a day; below zero: from the future. */
const ages = [0, 0, 1, 59, 60, 61, 62, 599, 600, 601, 3600, 86_400, -5, -60, -61, -3600, -86_400, -90_000];

function randomLog(random: ReturnType<typeof seededRandom>) {
  let now = random.pick(starts) + random.below(4000);
  let mode: LineClock["mode"] = random.below(3) === 0 ? "live" : "catchUp";
  const logForms = [random.pick(forms), random.pick(forms)];
  const lines = Array.from({ length: 40 }, (_, index) => {
    now += random.pick(steps);
    if (random.below(25) === 0) mode = "live";
    const date = new Date((now - random.pick(ages)) * 1000);
    return [now, mode, `${random.pick(logForms)(date)} h bad 192.0.2.${1 + (index % 250)}`] as const;
  });
  return { pattern: random.pick(patterns), lines };
}

describe("the time of a line", { skip: withoutFail2ban }, () => {
  test("is fail2ban's, live and while catching up, whatever the date, its age and the clock's jumps", () => {
    process.env["TZ"] = "Europe/Zurich";
    const random = seededRandom(11);
    const logs = Array.from({ length: 300 }, () => randomLog(random));
    const answers = Answers.parse(askFail2ban(followLines, logs, "Europe/Zurich"));
    let failures = 0;
    for (const [index, { pattern, lines }] of logs.entries()) {
      const filter = filterOf({ failRegex: ["bad <HOST>$"], datePattern: pattern }, "no", null);
      for (const [at, [now, mode, line]] of lines.entries()) {
        const outcome = filter.match(line, { nowMs: now * 1000, mode, findTimeMs: 600_000 });
        const ours = outcome.kind === "failure" ? [[outcome.failure.id, outcome.failure.atMs / 1000]] : [];
        assert.deepEqual(ours, answers[index]?.[at], `${pattern}, ${mode} at ${now}: ${line}`);
        failures += ours.length;
      }
    }
    assert.ok(failures > 8000, `only ${failures} failures`);
  });
});
