import { secondMs } from "../../shared/durations.ts";
import type { BanTimeIncrement } from "../settings/jail-settings.ts";
import { type Expression, parseExpression } from "./expression.ts";

/** How long the next ban is. null = for ever. */
export type BanTime = (earlierBans: number, random: number) => number | null;

/** What doubling stops at: fail2ban's default formula. */
const doublingsMax = 20;

/**
 * fail2ban's bantime, with `bantime.increment` when on.
 *
 * @param random  of the call: from 0 to below 1, for `bantime.rndtime`
 * @throws Fleet2banError `invalid` for a formula that cannot be read
 */
export function banTimeOf(baseMs: number | null, increment: BanTimeIncrement | null): BanTime {
  if (increment === null || baseMs === null) return () => baseMs;
  const grown = growth(baseMs, increment);
  return (earlierBans, random) => {
    if (earlierBans < 1) return baseMs;
    let banTimeMs = grown(earlierBans);
    if (increment.maxTimeMs !== null) banTimeMs = Math.min(banTimeMs, increment.maxTimeMs);
    // Added last, so it may exceed maxtime: as in fail2ban.
    return banTimeMs + random * increment.randomMs;
  };
}

function growth(baseMs: number, increment: BanTimeIncrement): (earlierBans: number) => number {
  const factor = increment.factor ?? 1;
  const { multipliers } = increment;
  if (multipliers !== null && multipliers.length > 0) {
    // The first multiplier is for no earlier ban, which is never multiplied: a place holder.
    return (earlierBans) => baseMs * factor * (multipliers[Math.min(earlierBans, multipliers.length - 1)] ?? 1);
  }
  if (increment.formula === null) {
    return (earlierBans) => Math.max(baseMs, baseMs * 2 ** Math.min(earlierBans, doublingsMax) * factor);
  }
  const formula = parseExpression(increment.formula);
  return (earlierBans) => Math.max(baseMs, formulaMs(formula, baseMs, earlierBans, factor));
}

/** A formula that fails for some count (a division by zero) leaves the base time, as fail2ban does. */
function formulaMs(formula: Expression, baseMs: number, earlierBans: number, factor: number): number {
  const seconds = formula.evaluate({ "ban.Time": baseMs / secondMs, "ban.Count": earlierBans, banFactor: factor });
  return Number.isFinite(seconds) ? seconds * secondMs : baseMs;
}
