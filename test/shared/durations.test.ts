import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDurationMs, parseDurationMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";

for (const [text, seconds] of [
  ["90", 90],
  ["1h", 3600],
  ["1d12h", 129_600],
  ["2w", 1_209_600],
  ["1mo", 2_592_000],
  ["5m30s", 330],
] as const) {
  test(`${text} is ${seconds} seconds`, () => assert.equal(parseDurationMs(text, "here"), seconds * 1000));
}

for (const text of ["", "0", "-1", "1x", "h", "1.5h", "1h -30m", "11y", "99999999999"]) {
  test(`refuses ${JSON.stringify(text)} and says where`, () => {
    assert.throws(
      () => parseDurationMs(text, "policy: ladder[0].bantime"),
      (error) =>
        error instanceof Fleet2banError &&
        error.code === "invalid" &&
        error.message.startsWith("policy: ladder[0].bantime: "),
    );
  });
}

test("what is written is read back as the same span", () => {
  for (const seconds of [1, 59, 60, 3599, 3600, 86_399, 90_061, 2_592_000]) {
    assert.equal(parseDurationMs(formatDurationMs(seconds * 1000), "here"), seconds * 1000);
  }
});

test("less than a second is written as 0s", () => assert.equal(formatDurationMs(999), "0s"));
