import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLogTimezone, zoneMinutes } from "../../../agent/dates/zone.ts";

test("reads offsets in every spelling, abbreviations, and their sum", () => {
  const cases: [string, number][] = [
    ["Z", 0],
    ["UTC", 0],
    ["+0200", 120],
    ["+02:30", 150],
    ["-0330", -210],
    ["-01", -60],
    ["CET", 60],
    ["CET+0100", 120],
    ["NPT", 345],
    ["NDT", -150],
    ["", 0],
  ];
  for (const [text, minutes] of cases) assert.equal(zoneMinutes(text), minutes, text);
});

test("knows no other zones", () => {
  for (const text of ["XYZ", "utc", "Europe/Zurich", "+2", "+2500", "+02:0", "CETX", "+0200 "]) {
    assert.equal(zoneMinutes(text), undefined, text);
  }
});

test("refuses a logtimezone with summer time, and says what to write", () => {
  assert.throws(() => parseLogTimezone("Europe/Zurich"), /logtimezone: "Europe\/Zurich".*UTC\+0200/);
});
