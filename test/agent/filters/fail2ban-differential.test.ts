import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { z } from "zod";
import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import { loadFilter } from "../../../agent/settings/load-settings.ts";
import { askFail2ban, withoutFail2ban } from "../fail2ban-oracle.ts";
import { clockAt, noonMs } from "./filter-support.ts";
import { hostileFilters, hostileLine } from "./hostile-lines.ts";
import { seededRandom } from "./seeded-random.ts";

/** fail2ban's own filter over lines, in the way its jails use it: one [id, time, user, lines] per failure. */
const replayLines = `
import json, sys
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter
from fail2ban.server.mytime import MyTime
asked = json.load(sys.stdin)
MyTime.setAlternateNow(asked["now"])
def replay(name, options, lines):
    reader = FilterReader(name, "jail", options, basedir="/etc/fail2ban")
    reader.read(); reader.getOptions({})
    found = Filter(None); found.checkFindTime = False; found.setUseDns("no")
    add = {"addfailregex": found.addFailRegex, "addignoreregex": found.addIgnoreRegex}
    for command in reader.convert():
        values = command[3] if command[0] == "multi-set" else [command[3]]
        for value in values:
            if command[2] in add: add[command[2]](value)
            elif command[2] == "prefregex": found.prefRegex = value
            elif command[2] == "maxlines": found.setMaxLines(value)
            elif command[2] == "datepattern": found.setDatePattern(value)
    return [[[str(fid), time, fail.get("user"), len(fail.get("matches", []))] for _, fid, time, fail in found.processLine(line)] for line in lines]
print(json.dumps([replay(*each) for each in asked["filters"]]))
`;

const Answers = z.array(z.array(z.array(z.tuple([z.string(), z.number(), z.string().nullable(), z.int()]))));

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
    const filters = [...lines].map(([reference, its]) => [...nameAndOptions(reference), its] as const);
    const answers = Answers.parse(askFail2ban(replayLines, { now: noonMs / 1000, filters }, "UTC"));
    for (const [index, [reference, its]] of [...lines].entries()) {
      const filter = compileFilter(loadFilter("/etc/fail2ban", reference), { useDns: "no", timezone: null });
      for (const [at, line] of its.entries()) {
        const outcome = filter.match(line, clockAt(noonMs));
        const failures = outcome.kind === "failure" ? outcome.failures : [];
        const ours = failures.map((each) => [each.id, each.atMs / 1000, each.user, each.lines.length]);
        assert.deepEqual(ours, answers[index]?.[at], `${reference}, line ${at}: ${line}`);
      }
    }
  });
});

function nameAndOptions(reference: string): [string, Record<string, string>] {
  const [, name = "", mode] = /^([\w-]+)(?:\[mode=(\w+)\])?$/.exec(reference) ?? [];
  return [name, mode === undefined ? {} : { mode }];
}
