import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBuiltIn } from "../../../agent/dates/compile-pattern.ts";
import { fastPatterns } from "../../../agent/dates/default-templates.ts";
import { iso8601Form, syslogForm } from "../../../agent/dates/fast-forms.ts";
import { cutOf, patternTemplate } from "../../../agent/dates/template.ts";
import { randomLine, seededRandom } from "./date-lines.ts";
import { inTimezone } from "./in-timezone.ts";

const latestYear = 2029;
const random = seededRandom(7);
const characters = " 0123456789:.,-+/TZUGaJ[\té日";

/** A common form with some characters replaced, doubled or left out: nearly a date is what a fast reader gets wrong. */
function nearlyDates(count: number, form: number): string[] {
  return Array.from({ length: count }, () => {
    let line = randomLine(random, form, "");
    for (let changes = Math.floor(random() * 3); changes > 0; changes -= 1) {
      const at = Math.floor(random() * 32);
      const character = characters.charAt(Math.floor(random() * characters.length));
      line = line.slice(0, at) + (random() < 0.2 ? "" : character) + line.slice(at + (random() < 0.2 ? 0 : 1));
    }
    return line;
  });
}

for (const [form, pattern] of Object.entries(fastPatterns)) {
  for (const zone of [null, -150]) {
    void test(`reads ${form} as its regex does, zone ${zone}`, () => {
      const template = patternTemplate(pattern, { compile: compileBuiltIn, latestYear });
      const fast = form === "syslog" ? syslogForm(zone) : iso8601Form(zone, latestYear);
      let read = 0;
      inTimezone("America/New_York", () => {
        const lines = nearlyDates(20_000, form === "syslog" ? 1 : 0);
        // The same second with the end of another line, too.
        const second = form === "syslog" ? 15 : 19;
        const pairs = lines.flatMap((line, index) => [
          line,
          line.slice(0, second) + (lines[index - 1] ?? "").slice(second),
        ]);
        for (const line of pairs) {
          const startMs = Date.parse("2026-03-01T12:00:00Z") + Math.floor(random() * 1000) * 60_000;
          // Twice: the second answer comes from what the first one kept.
          for (const nowMs of [startMs, startMs + 1000]) {
            const found = fast(line, nowMs);
            if (found === undefined) continue;
            read += 1;
            const match = template.search(line, 0, line.length);
            assert.ok(match !== null, JSON.stringify(line));
            const [start, end] = cutOf(match);
            assert.deepEqual(found, { start, end, atMs: template.timeMs(match, zone, nowMs) }, JSON.stringify(line));
          }
        }
      });
      assert.ok(read > 1000, `${read} lines were read fast`);
    });
  }
}

test("the year of a syslog date is chosen anew at each second around the limit of 24 hours", () => {
  const fast = syslogForm(0);
  const line = "Mar 02 12:00:30 host x";
  inTimezone("UTC", () => {
    for (const [now, year] of [
      ["2026-03-01T12:00:29Z", 2025],
      ["2026-03-01T12:00:30Z", 2026],
      ["2026-03-01T12:00:29Z", 2025],
    ] as const) {
      assert.equal(new Date(fast(line, Date.parse(now))?.atMs ?? 0).getUTCFullYear(), year, now);
    }
  });
});
