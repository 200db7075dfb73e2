import { randomBytes, timingSafeEqual } from "node:crypto";
import { hourMs } from "../../shared/durations.ts";

/** A working day: long enough not to annoy, short enough for a forgotten screen. */
const sessionMs = 12 * hourMs;
/** A screen nobody has clicked on for this long is a forgotten one. */
const idleMs = 2 * hourMs;
/** Many times the people who ever look at once; the oldest session goes first. */
const sessionsMax = 1000;

/** One person's login. Every page checks that the API token behind it still holds. */
export type Session = Readonly<{
  id: string;
  token: string;
  /** Goes into every form and comes back with it; another site cannot know it. */
  formToken: string;
}>;

export type Sessions = Readonly<{
  open(token: string, nowMs: number): Session;
  /** @param isPerson  somebody clicked; a page that updates itself keeps nobody logged in */
  find(id: string, nowMs: number, isPerson: boolean): Session | undefined;
  close(id: string): void;
  /** A sentence for the next page this person sees. */
  leaveNotice(session: Session, notice: string): void;
  takeNotice(session: Session): string | null;
}>;

type Entry = { session: Session; untilMs: number; idleUntilMs: number; notice: string | null };

/** Logins of people, in memory only: after a restart one logs in again, and nothing secret is on disk. */
export function createSessions(): Sessions {
  const entries = new Map<string, Entry>();
  return {
    open(token, nowMs) {
      const oldest = entries.keys().next();
      if (entries.size >= sessionsMax && !oldest.done) entries.delete(oldest.value);
      const session = { id: newSecret(), token, formToken: newSecret() };
      entries.set(session.id, { session, untilMs: nowMs + sessionMs, idleUntilMs: nowMs + idleMs, notice: null });
      return session;
    },
    find(id, nowMs, isPerson) {
      const entry = entries.get(id);
      if (entry === undefined) return undefined;
      if (nowMs >= entry.untilMs || nowMs >= entry.idleUntilMs) {
        entries.delete(id);
        return undefined;
      }
      if (isPerson) entry.idleUntilMs = nowMs + idleMs;
      return entry.session;
    },
    close(id) {
      entries.delete(id);
    },
    leaveNotice({ id }, notice) {
      const entry = entries.get(id);
      if (entry !== undefined) entry.notice = notice;
    },
    takeNotice({ id }) {
      const entry = entries.get(id);
      const notice = entry?.notice ?? null;
      if (entry !== undefined) entry.notice = null;
      return notice;
    },
  };
}

export function isFormToken(session: Session, sent: string): boolean {
  const known = Buffer.from(session.formToken);
  const other = Buffer.from(sent);
  return known.length === other.length && timingSafeEqual(known, other);
}

function newSecret(): string {
  return randomBytes(32).toString("base64url");
}
