import { secondMs } from "../../shared/durations.ts";
import { roundHalfEven } from "./python-round.ts";

export type CountSettings = Readonly<{ maxRetry: number; findTimeMs: number; maxMatches: number }>;

/** What a jail knows of one id that is not banned yet. */
export type Tally = {
  readonly id: string;
  firstMs: number;
  lastMs: number;
  /** Compared with maxretry: an estimate once failures spread over more than findtime; with known offenders a fraction. */
  retries: number;
  /** Lines seen, never estimated. */
  failures: number;
  lines: string[];
};

/** Ids one jail counts at a time: a wide attack must not take the host's memory. Beyond it the oldest id is forgotten. */
const talliesMax = 100_000;
/** Of one kept line: evidence for a person. */
const lineLengthMax = 1024;

/**
 * fail2ban's counter. It keeps no list of times but, per id, first, last and a number: when the first failure is older
 * than findtime, the number is scaled down to what findtime would hold at the same rate.
 */
export function createFailureCounter(settings: CountSettings) {
  const { maxRetry, findTimeMs, maxMatches } = settings;
  const tallies = new Map<string, Tally>();

  return {
    get size(): number {
      return tallies.size;
    },

    get: (id: string): Readonly<Tally> | undefined => tallies.get(id),

    /** Counts one failure and returns the tally; `retries` may now have reached maxretry. */
    add(id: string, atMs: number, lines: readonly string[], count = 1): Readonly<Tally> {
      const known = tallies.get(id);
      if (known === undefined) return start(id, atMs, lines, count);
      passTime(known, atMs);
      known.retries += count;
      known.failures += 1;
      if (maxMatches > 0) known.lines = [...known.lines, ...lines.map(detached)].slice(-maxMatches);
      return known;
    },

    /** Takes the tally of an id out, if it has reached maxretry. */
    takeFull(id: string): Tally | undefined {
      const tally = tallies.get(id);
      if (tally === undefined || tally.retries < maxRetry) return undefined;
      tallies.delete(id);
      return tally;
    },

    forget: (id: string): boolean => tallies.delete(id),

    /** Drops ids without a failure in the last findtime. */
    dropStale(nowMs: number): void {
      for (const tally of tallies.values()) if (tally.lastMs <= nowMs - findTimeMs) tallies.delete(tally.id);
    },
  };

  function start(id: string, atMs: number, lines: readonly string[], count: number): Tally {
    if (tallies.size >= talliesMax) {
      const oldest = tallies.keys().next();
      if (!oldest.done) tallies.delete(oldest.value);
    }
    const kept = maxMatches > 0 ? lines.slice(-maxMatches).map(detached) : [];
    const tally = { id: detached(id), firstMs: atMs, lastMs: atMs, retries: count, failures: 1, lines: kept };
    tallies.set(tally.id, tally);
    return tally;
  }

  function passTime(tally: Tally, atMs: number): void {
    if (atMs <= tally.lastMs) return;
    if (tally.firstMs < atMs - findTimeMs) {
      // In seconds, as fail2ban divides, so that both round the same way.
      const elapsed = (atMs - tally.firstMs) / secondMs;
      tally.retries = roundHalfEven((tally.retries / elapsed) * (findTimeMs / secondMs));
      tally.firstMs = atMs - findTimeMs;
    }
    tally.lastMs = atMs;
  }
}

export type FailureCounter = ReturnType<typeof createFailureCounter>;

/** A copy of its own: V8 would otherwise keep the whole chunk of log a short text was cut from. */
function detached(text: string): string {
  return Buffer.from(text.slice(0, lineLengthMax)).toString();
}
