import assert from "node:assert/strict";
import { test } from "node:test";
import { createDateDetector } from "../../../agent/dates/date-detector.ts";

const nowMs = Date.parse("2026-11-22T12:00:00Z");
const detect = (line: string, datePattern: string | null = null) => {
  const found = createDateDetector({ datePattern, timezone: "UTC" }).find(line, nowMs);
  if (found === undefined) return undefined;
  const at = found.atMs === null ? null : new Date(found.atMs).toISOString();
  return [line.slice(0, found.start) + line.slice(found.end), at];
};

test("cuts the date out and leaves everything around it", () => {
  const cases: [string, string, string][] = [
    ["Nov 22 08:01:02 host sshd[1]: x", " host sshd[1]: x", "2026-11-22T08:01:02.000Z"],
    ["[2026-11-22T08:01:02.5+01:00] x", "[] x", "2026-11-22T07:01:02.000Z"],
    ["1.2.3.4 - - [22/Nov/2026:08:01:02 +0200] x", "1.2.3.4 - - [] x", "2026-11-22T06:01:02.000Z"],
    ["type=X msg=audit(1763800000.123:381): x", "type=X msg=audit(:381): x", "2025-11-22T08:26:40.123Z"],
    ["@400000006568a5b41a2b3c4d x", " x", "2023-11-30T15:09:40.000Z"],
    ["08:01:02 x", " x", "2026-11-22T08:01:02.000Z"],
  ];
  for (const [line, rest, at] of cases) assert.deepEqual(detect(line), [rest, at], line);
});

test("a pattern's own group is what is cut", () => {
  assert.deepEqual(detect("at [2026-11-22 08:01:02] x", String.raw`^[^\[]*\[({DATE})\]`), [
    "at [] x",
    "2026-11-22T08:01:02.000Z",
  ]);
});

test("a date that does not exist is cut out and has no time", () => {
  assert.deepEqual(detect("2026-02-30 08:01:02 x"), [" x", null]);
});

test("an optional date that is not there cuts nothing and has no time", () => {
  assert.deepEqual(detect("hello", "{NONE}"), ["hello", null]);
  assert.deepEqual(detect("hello", "()**"), ["hello", null]);
});

test("patterns are tried in the order they are written", () => {
  const pattern = "%Y_%m_%d\n%d.%m.%Y";
  assert.deepEqual(detect("2026_11_22 x", pattern), [" x", "2026-11-22T00:00:00.000Z"]);
  assert.deepEqual(detect("22.11.2026 x", pattern), [" x", "2026-11-22T00:00:00.000Z"]);
  assert.equal(detect("Nov 22 08:01:02 x", pattern), undefined);
});

test("names of months count in any case, unless the pattern has none", () => {
  assert.deepEqual(detect("NOV 22 08:01:02 x"), [" x", "2026-11-22T08:01:02.000Z"]);
  assert.equal(detect("2026-11-22t08:01:02 x"), undefined);
});

test("a year more than three ahead is no year", () => {
  const find = (line: string, latestYear: number) =>
    createDateDetector({ datePattern: null, timezone: "UTC", latestYear }).find(line, nowMs);
  assert.equal(find("2030-01-01 00:00:00 x", 2029), undefined);
  assert.equal(find("2030-01-01 00:00:00 x", 2030)?.end, 19);
  assert.equal(find("1999-01-01 00:00:00 x", 2030), undefined);
});

test("a log that keeps its date in one place is not misled by a date in the message", () => {
  const detector = createDateDetector({ datePattern: null, timezone: "UTC" });
  for (let second = 10; second < 20; second += 1) detector.find(`app: 2026-11-22 08:01:${second} ok`, nowMs);
  const found = detector.find("app: 2026-11-22 08:01:30 user Jan 01 2020 00:00:00", nowMs);
  assert.deepEqual(found, { start: 5, end: 24, atMs: Date.parse("2026-11-22T08:01:30Z") });
});

test("a pattern that cannot be read is named with its fault", () => {
  assert.throws(
    () => createDateDetector({ datePattern: "%Q", timezone: null }),
    /datepattern "%Q".*%Q is not a directive/,
  );
  const broken = () => createDateDetector({ datePattern: "(%Y", timezone: null });
  assert.throws(() => broken().find("2026", nowMs));
});
