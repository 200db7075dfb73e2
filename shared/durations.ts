import { Fleet2banError } from "./errors.ts";

export const secondMs = 1000;
export const minuteMs = 60 * secondMs;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

const unitMs: Readonly<Record<string, number>> = {
  s: secondMs,
  m: minuteMs,
  h: hourMs,
  d: dayMs,
  w: 7 * dayMs,
  mo: 30 * dayMs,
  y: 365 * dayMs,
};

/** Longest span we accept anywhere: nft takes at most a few hundred years, and nobody means more than ten. */
const durationMsMax = 10 * 365 * dayMs;

/**
 * Reads a span as people write it in policies and requests: `90` (seconds), `1h`, `1d12h`, `30d`.
 * fail2ban's richer arithmetic (`1y - 6mo`) lives with the jail settings, where it belongs.
 *
 * @param place  named in the error, for example `policy: ladder[1].bantime`
 * @returns      milliseconds, more than 0
 * @throws Fleet2banError `invalid` when the text is not a span or is longer than ten years
 */
export function parseDurationMs(text: string | number, place: string): number {
  const compact = String(text).trim().toLowerCase();
  let totalMs = 0;
  if (/^\d+$/.test(compact)) totalMs = Number(compact) * secondMs;
  else if (/^(\d+(mo|[smhdwy]))+$/.test(compact)) {
    for (const [, count, unit] of compact.matchAll(/(\d+)(mo|[smhdwy])/g)) {
      totalMs += Number(count) * (unitMs[unit ?? ""] ?? 0);
    }
  }
  if (totalMs <= 0 || totalMs > durationMsMax) {
    throw new Fleet2banError("invalid", `${place}: "${text}" is not a span of time; write 3600, 90s, 1h, 1d12h or 30d`);
  }
  return totalMs;
}

/** Writes a span as `parseDurationMs` reads it, largest units first: 5 400 000 → `1h30m`; under a second → `0s`. */
export function formatDurationMs(spanMs: number): string {
  let restSeconds = Math.floor(spanMs / secondMs);
  let text = "";
  for (const [unit, seconds] of [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(restSeconds / seconds);
    restSeconds -= count * seconds;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}
