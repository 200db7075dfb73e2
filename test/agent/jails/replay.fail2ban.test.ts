import assert from "node:assert/strict";
import { test } from "node:test";
import type { JailRules } from "../../../agent/jails/jail.ts";
import { replayJail } from "../../../agent/jails/replay.ts";
import { seededRandom } from "../dates/date-lines.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { failedAt, increment, rulesOf, secondMs, sparesNobody } from "./jail-support.ts";
import { logClockJail } from "./log-clock-jail.ts";

/** Prints the bans of each case: [time, id, bantime, ban count]. */
const oracle = `${logClockJail}
answers = []
for case in json.load(sys.stdin):
    jail = LogClockJail("sshd")
    jail.set("findtime", case["findtime"]); jail.set("maxretry", case["maxretry"]); jail.set("bantime", case["bantime"])
    for option, value in case["extra"]: jail.set("bantime." + option, value)
    for at, ip in case["failures"]: jail.failure(FailTicket(ip, at, data={"matches": ["line"]}))
    answers.append(jail.bans)
json.dump(answers, sys.stdout)
`;

type Extra = readonly (readonly [string, string])[];
type Variant = Readonly<{ rules: Partial<JailRules>; extra: Extra }>;

const on = ["increment", "true"] as const;
const hour = 3600 * secondMs;
const variants: readonly Variant[] = [
  { rules: {}, extra: [] },
  { rules: { maxRetry: 1 }, extra: [] },
  { rules: { maxRetry: 7, findTimeMs: 90 * secondMs, banTimeMs: 30 * secondMs }, extra: [] },
  { rules: { banTimeMs: null }, extra: [] },
  { rules: { increment: increment() }, extra: [on] },
  { rules: { maxRetry: 6, increment: increment({ factor: 24 }) }, extra: [on, ["factor", "24"]] },
  { rules: { increment: increment({ multipliers: [1, 24, 168, 720] }) }, extra: [on, ["multipliers", "1 24 168 720"]] },
  {
    rules: { maxRetry: 5, increment: increment({ multipliers: [1, 2, 4], maxTimeMs: hour }) },
    extra: [on, ["multipliers", "1 2 4"], ["maxtime", "1h"]],
  },
  {
    rules: {
      maxRetry: 4,
      increment: increment({
        formula: "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)",
        factor: 2 / 2.885385,
      }),
    },
    extra: [
      on,
      ["factor", "2.0 / 2.885385"],
      ["formula", "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)"],
    ],
  },
  { rules: { increment: increment({ overAllJails: true }) }, extra: [on, ["overalljails", "true"]] },
];

/** Failures of a few addresses: bursts, steady trickles, and pauses around findtime and bantime. */
function failuresOf(seed: number): [number, string][] {
  const random = seededRandom(seed);
  const failures: [number, string][] = [];
  let at = 1_700_000_000;
  for (let count = 0; count < 600; count += 1) {
    const steps = [0, 0, 1, 1, 2, 5, 7, 60, 250, 299, 300, 301, 599, 600, 601, 900, 3600, 90_000];
    const steepest = random() < 0.75 ? 8 : steps.length;
    at += steps[Math.floor(random() * steepest)] ?? 0;
    failures.push([at, `192.0.2.${1 + Math.floor(random() ** 2 * 6)}`]);
  }
  return failures;
}

test("bans whom fail2ban bans, when and for how long", { skip: withoutFail2ban }, () => {
  const cases = variants.flatMap((variant, index) =>
    [1, 2, 3].map((seed) => ({ ...variant, rules: rulesOf(variant.rules), failures: failuresOf(seed * 100 + index) })),
  );
  const questions = cases.map(({ rules, extra, failures }) => ({
    findtime: rules.findTimeMs / secondMs,
    maxretry: rules.maxRetry,
    bantime: rules.banTimeMs === null ? -1 : rules.banTimeMs / secondMs,
    extra,
    failures,
  }));
  const answers = askFail2ban(oracle, questions, "UTC") as [number, string, number, number][][];
  assert.ok(answers.flat().length > 300, `only ${answers.flat().length} bans to compare`);
  for (const [index, { rules, failures }] of cases.entries()) {
    const found = failures.map(([at, id]) => failedAt(at, id));
    const bans = [...replayJail(rules, sparesNobody, found)].map(({ at, id, bantime }) => [at, id, round(bantime)]);
    const expected = (answers[index] ?? []).map(([at, id, bantime]) => [at, id, round(bantime)]);
    assert.ok(expected.length > 0, `case ${index} has ${expected.length} bans`);
    assert.deepEqual(bans, expected, `case ${index}`);
  }
});

const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;
