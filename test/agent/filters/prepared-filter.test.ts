import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { compileFilter, prepareFilter } from "../../../agent/filters/compile-filter.ts";
import type { FilterSettings } from "../../../agent/settings/jail-settings.ts";
import { builtInConfigDir, loadFilter } from "../../../agent/settings/load-settings.ts";
import { clockAt, failureOf, noonMs } from "./filter-support.ts";

const corpus = join(import.meta.dirname, "../../corpus");
const clock = clockAt(noonMs);

/** As the resident agent gets it: through JSON. */
function prepared(settings: FilterSettings): FilterSettings {
  return JSON.parse(JSON.stringify(prepareFilter(settings, "no")));
}

describe("a filter prepared beforehand", () => {
  for (const file of readdirSync(corpus).filter((name) => name.endsWith(".log"))) {
    const name = basename(file, ".log");
    test(`finds in its log what ${name} finds`, () => {
      const settings = loadFilter(builtInConfigDir(), name);
      const options = { useDns: "no", timezone: "UTC" } as const;
      const [one, other] = [compileFilter(settings, options), compileFilter(prepared(settings), options)];
      assert.deepEqual(other.literals, one.literals);
      assert.deepEqual(other.warnings, one.warnings);
      // Accents too: the Unicode form is made from the text when it is first needed.
      for (const line of readFileSync(join(corpus, file), "utf8")
        .split("\n")
        .flatMap((each) => [each, `${each}ö`])) {
        assert.deepEqual(other.match(line, clock), one.match(line, clock), line);
      }
    });
  }

  test("is run without another look at its Python", () => {
    const ready = prepared(loadFilter(builtInConfigDir(), "sshd"));
    const unreadable = (text: string) => `(${text}`;
    const hidden: FilterSettings = {
      ...ready,
      prefRegex: ready.prefRegex === null ? null : unreadable(ready.prefRegex),
      failRegex: ready.failRegex.map(unreadable),
      ignoreRegex: ready.ignoreRegex.map(unreadable),
      prepared: {
        literals: ready.prepared?.literals ?? null,
        regexes: (ready.prepared?.regexes ?? []).map((each) => ({ ...each, text: unreadable(each.text) })),
      },
    };
    const filter = compileFilter(hidden, { useDns: "no", timezone: "UTC" });
    assert.deepEqual(filter.warnings, []);
    const line = "Aug 14 11:59:59 host sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2";
    assert.equal(filter.match(line, clock).kind, "failure");
  });

  test("keeps of its repetitions what Python keeps", () => {
    const settings = {
      name: "x",
      prefRegex: null,
      failRegex: ["^x(?: user=<F-USER>\\w+</F-USER>| \\d+)* from <ADDR>$"],
      ignoreRegex: [],
      datePattern: null,
      maxLines: 1,
      dateless: true,
    };
    const filter = compileFilter(prepared(settings), { useDns: "no", timezone: null });
    for (const user of ["al", "ål"]) {
      const outcome = filter.match(`x user=${user} 7 from 192.0.2.1`, { ...clock, lineAtMs: noonMs });
      assert.equal(failureOf(outcome)?.user, user);
    }
  });

  test("keeps apart what one text means in an ignoreregex and over several lines", () => {
    const text = "^<HOST> bad$";
    const settings = {
      name: "x",
      prefRegex: null,
      failRegex: [text],
      ignoreRegex: [text],
      datePattern: null,
      maxLines: 2,
      dateless: true,
    };
    const { regexes = [] } = prepared(settings).prepared ?? {};
    assert.deepEqual(
      regexes.map(({ multiline }) => multiline),
      [true, false],
    );
    assert.notEqual(regexes[0]?.source, regexes[1]?.source);
  });

  test("a filter that cannot be used stays as it is, and says why where it is compiled", () => {
    const settings = {
      name: "x",
      prefRegex: null,
      failRegex: ["("],
      ignoreRegex: [],
      datePattern: null,
      maxLines: 1,
      dateless: true,
    };
    assert.equal(prepareFilter(settings, "no"), settings);
    assert.throws(() => compileFilter(settings, { useDns: "no", timezone: null }), /no usable failregex/);
  });
});
