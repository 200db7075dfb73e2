import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 20;
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
  const until = performance.now() + deadlineMs;
  for (;;) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > until) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await sleep(pollMs);
  }
}
