import { randomBytes } from "node:crypto";
import { hourMs } from "../../shared/durations.ts";

/** A working day: long enough not to annoy, short enough for a forgotten screen. */
const sessionMs = 12 * hourMs;
/** Many times the people who ever look at once; the oldest session goes first. */
const sessionsMax = 1000;

export type Sessions = Readonly<{
  open(token: string, nowMs: number): string;
  /** The API token behind a session; the caller checks each time that it still holds. */
  tokenOf(id: string, nowMs: number): string | undefined;
  close(id: string): void;
}>;

/** Logins of people, in memory only: after a restart one logs in again, and nothing secret is on disk. */
export function createSessions(): Sessions {
  const sessions = new Map<string, Readonly<{ token: string; untilMs: number }>>();
  return {
    open(token, nowMs) {
      const oldest = sessions.keys().next();
      if (sessions.size >= sessionsMax && !oldest.done) sessions.delete(oldest.value);
      const id = randomBytes(32).toString("base64url");
      sessions.set(id, { token, untilMs: nowMs + sessionMs });
      return id;
    },
    tokenOf(id, nowMs) {
      const session = sessions.get(id);
      if (session === undefined) return undefined;
      if (session.untilMs > nowMs) return session.token;
      sessions.delete(id);
      return undefined;
    },
    close(id) {
      sessions.delete(id);
    },
  };
}
