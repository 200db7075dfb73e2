import { minuteMs, secondMs } from "../shared/durations.ts";
import type { Logger } from "./logger.ts";
import { aheadOfDatabase } from "./store/database-clock.ts";
import type { Sql } from "./store/sql.ts";

/**
 * Coordinators decide by their own clocks, and all of them see the database's: one that is further from it would begin and
 * end bans at other times than the others do. NTP keeps clocks a thousand times closer.
 */
const aheadMsMax = 10 * secondMs;
const lookEveryMs = minuteMs;

/** The sentence about a clock that is wrong, or the database's; undefined when they agree. */
export async function clockProblem(sql: Sql, now: () => number): Promise<string | undefined> {
  const aheadMs = await aheadOfDatabase(sql, now);
  if (Math.abs(aheadMs) <= aheadMsMax) return undefined;
  const how = aheadMs > 0 ? "ahead of" : "behind";
  return `the clock is ${Math.round(Math.abs(aheadMs) / secondMs)} s ${how} the database's; let NTP set both`;
}

/** Looks at once and then every minute. */
export function watchClock(sql: Sql, now: () => number, log: Logger): Disposable & { problems(): readonly string[] } {
  let problem: string | undefined;
  const look = async (): Promise<void> => {
    const found = await clockProblem(sql, now);
    if (found !== undefined && problem === undefined) log.warn({ problem: found, event: "clock" }, "clocks differ");
    problem = found;
  };
  const attempt = () => void look().catch((error: unknown) => log.debug({ err: error }, "could not compare clocks"));
  attempt();
  const timer = setInterval(attempt, lookEveryMs);
  return {
    problems: () => (problem === undefined ? [] : [problem]),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
