import { setTimeout as sleep } from "node:timers/promises";

/** What comes soon is seen at once; what takes seconds is not asked for fifty times in each, each costing what it waits for. */
const pollMs = { first: 20, longest: 100 } as const;
/** From the first pace to the longest. */
const slowDownMs = 2_000;
/** What comes at all comes long before this, also on a machine with ten times the work it can do. */
const waitMs = 60_000;

/**
 * Waits for a condition, never for a time.
 *
 * @param condition  asked again and again until it gives something other than undefined or false
 * @throws when the deadline passes, saying what was waited for
 */
export async function waitFor<T>(
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  deadlineMs = waitMs,
): Promise<T> {
  const startedMs = performance.now();
  const until = startedMs + deadlineMs;
  for (;;) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > until) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    const share = Math.min(1, (performance.now() - startedMs) / slowDownMs);
    await sleep(pollMs.first + share * (pollMs.longest - pollMs.first));
  }
}
