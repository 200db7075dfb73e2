import assert from "node:assert/strict";
import { test } from "node:test";
import type { JailRules } from "../../../agent/jails/jail.ts";
import { replayJail } from "../../../agent/jails/replay.ts";
import { seededRandom } from "../dates/date-lines.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { failedAt, increment, rulesOf, secondMs, sparesNobody } from "./jail-support.ts";

/**
 * Drives fail2ban's own jail, filter, ban list, observer and database without its threads, on the clock of the log: a
 * round of the server before each line, then the line. Prints the bans of each case: [time, id, bantime, ban count].
 */
const oracle = `
import json, logging, sys
from fail2ban.server.mytime import MyTime
from fail2ban.server.jail import Jail
from fail2ban.server.database import Fail2BanDb
from fail2ban.server.ticket import FailTicket
from fail2ban.server.observer import Observers, ObserverThread
logging.disable(logging.CRITICAL)
class Direct(ObserverThread):
    def __init__(self):
        ObserverThread.__init__(self); self.waiting = []
    def add(self, *event): self.waiting.append(event)
    def add_timer(self, *event): pass
    def work(self):
        while self.waiting:
            name, *values = self.waiting.pop(0)
            getattr(self, name)(*values)
answers = []
for case in json.load(sys.stdin):
    observer = Observers.Main = Direct()
    jail = Jail("sshd", backend="polling", db=Fail2BanDb(":memory:"))
    jail.database.addJail(jail)
    jail.isAlive = lambda: True
    jail.filter.setFindTime(case["findtime"]); jail.filter.setMaxRetry(case["maxretry"])
    jail.actions.setBanTime(case["bantime"])
    for option, value in case["extra"]: jail.setBanTimeExtra(option, value)
    bans = []
    addBan = jail.database.addBan
    def noted(jail, ticket):
        addBan(jail, ticket)
        bans.append([ticket.getTime(), str(ticket.getID()), ticket.getBanTime(jail.actions.getBanTime()), ticket.getBanCount()])
    jail.database.addBan = noted
    clock = None; purged = None
    for at, ip in case["failures"]:
        if clock is None or at > clock:
            clock = at
            MyTime.setTime(at - 0.001)
            jail.filter.performSvc()
            jail.actions._Actions__checkUnBan(100000)
            MyTime.setTime(at)
        if purged is None or clock >= purged:
            jail.database.purge(); purged = clock + 3600
        ticket = FailTicket(ip, at, data={"matches": ["line"]})
        if jail.filter.failManager.addFailure(ticket) >= case["maxretry"]: jail.filter.performBan(ticket.getID())
        observer.add("failureFound", jail, ticket)
        observer.work()
        jail.actions._Actions__checkBan()
        observer.work()
    answers.append(bans)
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
