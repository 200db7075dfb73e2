import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveWallTime, type WallTime } from "../../../agent/dates/wall-time.ts";
import { inTimezone } from "./in-timezone.ts";

const nothing: WallTime = {
  year: null,
  month: null,
  day: null,
  hour: 0,
  minute: 0,
  second: 0,
  zoneMinutes: null,
};
const resolve = (wall: Partial<WallTime>, now: string): string | null => {
  const atMs = resolveWallTime({ ...nothing, ...wall }, Date.parse(now));
  return atMs === null ? null : new Date(atMs).toISOString().slice(0, 19);
};

test("a date without a year is of this year up to 24 hours ahead, and of last year beyond", () => {
  const lines: [Partial<WallTime>, string][] = [
    [{ month: 6, day: 16, hour: 12 }, "2025-06-16T12:00:00"],
    [{ month: 6, day: 16, hour: 12, second: 1 }, "2024-06-16T12:00:01"],
    [{ month: 12, day: 31 }, "2024-12-31T00:00:00"],
    [{ month: 1, day: 1 }, "2025-01-01T00:00:00"],
  ];
  inTimezone("UTC", () => {
    for (const [wall, expected] of lines) assert.equal(resolve(wall, "2025-06-15T12:00:00Z"), expected);
  });
});

test("a time without a date is of today, and of yesterday if it has not come yet", () => {
  inTimezone("UTC", () => {
    assert.equal(resolve({ hour: 12 }, "2025-03-01T12:00:00Z"), "2025-03-01T12:00:00");
    assert.equal(resolve({ hour: 12, second: 1 }, "2025-03-01T12:00:00Z"), "2025-02-28T12:00:01");
  });
});

test("a day that does not exist is no time, and 29 February only in a leap year", () => {
  inTimezone("UTC", () => {
    const now = "2026-01-01T00:00:00Z";
    assert.equal(resolve({ year: 2025, month: 2, day: 30 }, now), null);
    assert.equal(resolve({ year: 2025, month: 2, day: 29 }, now), null);
    assert.equal(resolve({ year: 2024, month: 2, day: 29 }, now), "2024-02-29T00:00:00");
    assert.equal(resolve({ year: 2025, month: 1, day: 1, hour: 24 }, now), null);
    assert.equal(resolve({ year: 2025, month: 1, day: 1, second: 60 }, now), null);
    assert.equal(resolve({ year: 2025, month: 1 }, now), null);
  });
});

test("without a zone the local one counts, with its summer time", () => {
  inTimezone("Europe/Zurich", () => {
    const now = "2026-01-01T00:00:00Z";
    assert.equal(resolve({ year: 2025, month: 7, day: 1, hour: 12 }, now), "2025-07-01T10:00:00");
    assert.equal(resolve({ year: 2025, month: 12, day: 1, hour: 12 }, now), "2025-12-01T11:00:00");
    assert.equal(resolve({ year: 2025, month: 7, day: 1, hour: 12, zoneMinutes: 60 }, now), "2025-07-01T11:00:00");
    assert.equal(resolve({ year: 50, month: 1, day: 1 }, now)?.slice(0, 7), "0049-12");
  });
});
