import { secondMs } from "../../shared/durations.ts";
import type { Logger } from "../logger.ts";
import { endSilentSession, silentSessions } from "../store/silent-sessions.ts";
import type { Sql } from "../store/sql.ts";

/**
 * A live coordinator's longest pause inside a transaction is the judging of what it has pulled, a fraction of a second. One
 * that pauses for longer loses its turn, which is repeated, and nothing else.
 */
const silenceMs = 3 * secondMs;

/**
 * A coordinator that froze in the middle of a transaction holds what the others and every admin's act wait for. Whoever
 * looks every second ends that transaction when it has been silent for so long; the database takes back what it did.
 *
 * @returns one look; call it again and again
 */
export function freeTheWay(sql: Sql, log: Logger): (nowMs: number) => Promise<void> {
  /** Since when each has been silent at the same place. */
  let since = new Map<string, number>();
  return async (nowMs) => {
    const silent = await silentSessions(sql);
    since = new Map(silent.map(({ pid, place }) => [`${pid} ${place}`, since.get(`${pid} ${place}`) ?? nowMs]));
    for (const session of silent) {
      if (nowMs - (since.get(`${session.pid} ${session.place}`) ?? nowMs) < silenceMs) continue;
      if (!(await endSilentSession(sql, session))) continue;
      const fields = { databasePid: session.pid, event: "ended_silent_turn" };
      log.warn(fields, "ended the turn of a coordinator that is silent while others wait for it");
    }
  };
}
