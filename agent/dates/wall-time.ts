import { dayMs, minuteMs, secondMs } from "../../shared/durations.ts";

/** What a log line says of its time; null = not said. `month` counts from 1. */
export type WallTime = Readonly<{
  year: number | null;
  month: number | null;
  day: number | null;
  hour: number;
  minute: number;
  second: number;
  /** Minutes east of UTC; null = the local zone of this machine. */
  zoneMinutes: number | null;
}>;

/**
 * The time a line happened, ms since the epoch, with what it leaves out inferred as fail2ban does: no date = today, or
 * yesterday if that were in the future; no year = this year, or last year if that were more than 24 hours ahead.
 * null when there is no such time (30 February, 25:00, second 60).
 *
 * The comparisons are between the time as written, moved to UTC if it names a zone, and the *local* clock: hours off
 * beside a foreign zone, but fail2ban's, and what decides is whether it is more than a day.
 */
export function resolveWallTime(wall: WallTime, nowMs: number): number | null {
  const { hour, minute, second, zoneMinutes } = wall;
  let { year, month, day } = wall;
  const yearMissing = year === null;
  const dateMissing = month === null && day === null;
  const needsNow = yearMissing || dateMissing;
  const localNowMs = needsNow ? localClockMs(nowMs) : 0;
  if (needsNow) {
    const now = new Date(localNowMs);
    year ??= now.getUTCFullYear();
    if (dateMissing) {
      month = now.getUTCMonth() + 1;
      day = now.getUTCDate();
    }
  }
  if (year === null || month === null || day === null) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const midnightMs = utcMidnightMs(year, month, day);
  if (midnightMs === null) return null;
  let wallMs = midnightMs + ((hour * 60 + minute) * 60 + second) * secondMs;
  if (zoneMinutes !== null) wallMs -= zoneMinutes * minuteMs;
  if (dateMissing && wallMs > localNowMs) wallMs -= dayMs;
  if (yearMissing && wallMs > localNowMs + dayMs) {
    const lastYearMs = utcMidnightMs(year - 1, month, day);
    if (lastYearMs === null) return null;
    // Only the date is replaced: the time of day stays as the zone has shifted it.
    wallMs = lastYearMs + (((wallMs % dayMs) + dayMs) % dayMs);
  }
  return zoneMinutes === null ? epochOfLocalMs(wallMs) : wallMs;
}

/** Midnight of this date as if it were UTC; null when the calendar has no such date. */
export function utcMidnightMs(year: number, month: number, day: number): number | null {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return null;
  const date = new Date(0);
  // Not Date.UTC: it reads years below 100 as 19xx.
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCDate() === day ? date.getTime() : null;
}

/** The date of the nth day of a year, counted from 1; day 366 of a common year is the next 1 January. */
export function dateOfYearDay(year: number, yearDay: number): Pick<WallTime, "year" | "month" | "day"> | null {
  const newYearMs = utcMidnightMs(year, 1, 1);
  if (newYearMs === null) return null;
  const date = new Date(newYearMs + (yearDay - 1) * dayMs);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** What the clock on this machine's wall shows at `atMs`, written as if it were UTC. */
export function localClockMs(atMs: number): number {
  return atMs - new Date(atMs).getTimezoneOffset() * minuteMs;
}

function epochOfLocalMs(wallMs: number): number {
  const wall = new Date(wallMs);
  const local = new Date(2000, 0, 1, wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds());
  if (wall.getUTCFullYear() >= 100) {
    return new Date(
      wall.getUTCFullYear(),
      wall.getUTCMonth(),
      wall.getUTCDate(),
      wall.getUTCHours(),
      wall.getUTCMinutes(),
      wall.getUTCSeconds(),
    ).getTime();
  }
  return local.setFullYear(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate());
}
