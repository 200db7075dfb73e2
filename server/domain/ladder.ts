import type { Ban } from "./ban-book.ts";
import type { Rung } from "./policy.ts";

/**
 * The level of a new automatic ban.
 *
 * @param history  earlier bans of the same subject in the same scope, in any order; those by hand and those lifted as
 *                 false positives do not count and may be among them
 * @param levelMax the last level this kind of ban may reach
 */
export function levelOf(history: readonly Ban[], ladder: readonly Rung[], nowMs: number, levelMax: number): number {
  const counted = history.filter((ban) => ban.level !== null && ban.endReason !== "false-positive");
  const since = (level: number, withinMs: number): number =>
    counted.filter((ban) => (ban.level ?? 0) >= level && nowMs - ban.startMs <= withinMs).length;

  const last = ladder.length - 1;
  let base = last;
  while (base > 0 && since(base, ladder[base]?.withinMs ?? 0) === 0) base -= 1;
  const next = ladder[base + 1];
  const climbs = next !== undefined && since(base, next.withinMs) + 1 >= next.after;
  return Math.min(climbs ? base + 1 : base, last, levelMax);
}
