import assert from "node:assert/strict";
import { test } from "node:test";
import { createDateDetector } from "../../../agent/dates/date-detector.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { formCount, randomLine, seededRandom } from "./date-lines.ts";

/** Prints, per case, what the installed fail2ban finds in each line: [start, end, epoch or null] or null. */
const oracle = `
import json, sys
from fail2ban.server.mytime import MyTime
from fail2ban.server.datedetector import DateDetector
answers = []
for case in json.load(sys.stdin):
    MyTime.setTime(case["now"])
    detector = DateDetector()
    detector.default_tz = case["zone"]
    for pattern in (case["pattern"] or "").split("\\n"):
        if pattern.strip(): detector.appendTemplate(pattern.strip())
    if not detector.templates: detector.addDefaultTemplate()
    for known in detector.templates: known.template.hits = 0  # shared between detectors
    found = []
    for line in case["lines"]:
        try:
            match, template = detector.matchTime(line)
        except IndexError:
            found.append("error"); continue
        if not match:
            found.append(None); continue
        time = None
        if match.start(1) != match.end(1):
            try:
                date = detector.getTime(line, (match, template))
                time = date[0] if date is not None else None
            except Exception:
                time = None
        found.append([match.start(1), match.end(1), time])
    answers.append(found)
json.dump(answers, sys.stdout)
`;

type Case = Readonly<{ pattern: string | null; zone: string | null; now: number; lines: readonly string[] }>;

const now = 1_763_800_000;
const patterns: readonly (string | null)[] = [
  null,
  "{^LN-BEG}",
  "{DEFAULT}",
  "EPOCH",
  "{^LN-BEG}LEPOCH",
  "{^LN-BEG}Epoch",
  "{^LN-BEG}TAI64N",
  "{NONE}",
  "^{DATE}",
  "{DATE}",
  "^\\W{0,2}{DATE}",
  "^[^[]*\\[({DATE})",
  "%d/%b[^/]*/%Y:%H:%M:%S %z",
  "^%m/%d/%Y %H:%M:%S",
  "^%Y:%m:%d-%H:%M:%S",
  "{^LN-BEG}%ExY(?P<_sep>[-/.])%m(?P=_sep)%d[T ]%H:%M:%S(?:[.,]%f)?(?:\\s*%z)?",
  "^(?:%Y-)?%m-%d[ T]%H:%M:%S(?:\\.%f)?",
  "^%b %d, %ExY %I:%M:%S %p",
  "%b %d %ExH:%ExM:%ExS",
  "{UNB}%H:%M:%S",
  "**%Y-%m-%d**",
  "%H:%M:%S **",
  "%Exz %b %d %k:%M:%S\n%b %d %H:%M:%S",
  "%y%m%d %l:%M:%S\n{DEFAULT}",
  "%Y%j\n%Y %U %a\n{^LN-BEG}",
  "audit\\({EPOCH}",
  "%a %b %d %H:%M:%S\n%A|%B",
];

function casesOf(seed: number, zone: string | null): Case[] {
  const random = seededRandom(seed);
  const lines = (count: number, form?: number) => Array.from({ length: count }, () => randomLine(random, form));
  const cases: Case[] = [];
  // A log keeps to one form for a while: the order of templates adapts, and must adapt as fail2ban's does.
  for (let form = 0; form < formCount; form += 1) {
    cases.push({ pattern: null, zone, now, lines: [...lines(12, form), ...lines(12), ...lines(6, form)] });
  }
  for (const pattern of patterns) cases.push({ pattern, zone, now, lines: lines(120) });
  for (const offset of [0, 86_400 * 30, 86_400 * 150])
    cases.push({ pattern: null, zone, now: now + offset, lines: lines(200) });
  return cases;
}

/** Local times that exist twice or not at all: C libraries and V8 read them differently, and so may two C libraries. */
function isAmbiguous(atMs: number): boolean {
  const offset = (at: number) => new Date(at).getTimezoneOffset();
  return offset(atMs - 7_200_000) !== offset(atMs + 7_200_000);
}

for (const [seed, timezone, zone] of [
  [1, "Europe/Zurich", null],
  [2, "UTC", null],
  [3, "America/New_York", null],
  [4, "Asia/Kolkata", "UTC+0200"],
  [5, "Australia/Lord_Howe", "PST"],
] as const) {
  void test(`finds the same dates as fail2ban in ${timezone}, logtimezone ${zone}`, { skip: withoutFail2ban }, () => {
    const machineZone = process.env.TZ;
    process.env.TZ = timezone;
    try {
      const cases = casesOf(seed, zone);
      let timesCompared = 0;
      const answers = askFail2ban(oracle, cases, timezone) as ([number, number, number | null] | "error" | null)[][];
      for (const [caseIndex, { pattern, lines, now: nowSeconds }] of cases.entries()) {
        const detector = createDateDetector({ datePattern: pattern, timezone: zone });
        for (const [index, line] of lines.entries()) {
          const expected = answers[caseIndex]?.[index];
          if (expected === "error") continue;
          const found = detector.find(line, nowSeconds * 1000);
          const place = `pattern ${pattern}, line ${index}: ${JSON.stringify(line)}`;
          const span = found === undefined ? null : [found.start, found.end];
          assert.deepEqual(span, expected === null || expected === undefined ? null : expected.slice(0, 2), place);
          const seconds = expected?.[2] ?? null;
          const foundSeconds = found?.atMs == null ? null : found.atMs / 1000;
          if (seconds !== null && foundSeconds !== null && isAmbiguous(seconds * 1000)) continue;
          const rounded = seconds === null ? null : Math.round(seconds * 1000) / 1000;
          assert.equal(foundSeconds, rounded, place);
          if (rounded !== null) timesCompared += 1;
        }
      }
      assert.ok(timesCompared > 1000, `only ${timesCompared} times were compared`);
    } finally {
      if (machineZone === undefined) delete process.env.TZ;
      else process.env.TZ = machineZone;
    }
  });
}
