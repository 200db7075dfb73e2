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
  /** The last round of `dropStale` before its last failure. */
  round: number;
};

/** Ids one jail counts at a time: a wide attack must not take the host's memory. Beyond it the oldest id is forgotten. */
const talliesMax = 100_000;
/** So many removed ids are worth a new Map, if the old one holds no more than that. */
const removedMin = 1000;
/** Of one kept line: evidence for a person. */
const lineLengthMax = 1024;
/** Of all kept lines of one jail. Beyond it failures are counted without their lines: evidence may go, counts may not. */
const keptCharactersMax = 4_000_000;

/**
 * fail2ban's counter. It keeps no list of times but, per id, first, last and a number: when the first failure is older
 * than findtime, the number is scaled down to what findtime would hold at the same rate.
 */
export class FailureCounter {
  readonly #settings: CountSettings;
  #tallies = new Map<string, Tally>();
  #removed = 0;
  #keptCharacters = 0;
  /** Rounds of `dropStale`, and what the last one drops: whose last failure is as old as this. */
  #round = 0;
  #staleMs = Number.NEGATIVE_INFINITY;
  #nextSweepMs = Number.NEGATIVE_INFINITY;
  #sweptRound = 0;

  constructor(settings: CountSettings) {
    this.#settings = settings;
  }

  get size(): number {
    this.#sweep();
    return this.#tallies.size;
  }

  get(id: string): Readonly<Tally> | undefined {
    return this.#known(id);
  }

  /** Counts one failure and returns the tally; `retries` may now have reached maxretry. */
  add(id: string, atMs: number, lines: readonly string[], count = 1): Readonly<Tally> {
    const known = this.#known(id);
    if (known === undefined) return this.#start(id, atMs, lines, count);
    this.#passTime(known, atMs);
    known.round = this.#round;
    known.retries += count;
    known.failures += 1;
    this.#keepLines(known, lines);
    return known;
  }

  /** Takes the tally of an id out, if it has reached maxretry. */
  takeFull(id: string): Tally | undefined {
    const tally = this.#known(id);
    if (tally === undefined || tally.retries < this.#settings.maxRetry) return undefined;
    this.#remove(tally);
    return tally;
  }

  forget(id: string): void {
    const tally = this.#tallies.get(id);
    if (tally !== undefined) this.#remove(tally);
  }

  /**
   * Drops ids without a failure in the last findtime; `nowMs` must not go back. Only notes the moment: who looks at a
   * tally sees whether it went stale since its last failure, and all are looked at four times per findtime. When a log
   * of a day is counted in a second, going through all of them each time takes as long as the counting.
   */
  dropStale(nowMs: number): void {
    this.#round += 1;
    this.#staleMs = nowMs - this.#settings.findTimeMs;
    if (nowMs < this.#nextSweepMs) return;
    this.#nextSweepMs = nowMs + this.#settings.findTimeMs / 4;
    this.#sweep();
  }

  #known(id: string): Tally | undefined {
    const tally = this.#tallies.get(id);
    if (tally === undefined || !this.#isStale(tally)) return tally;
    this.#remove(tally);
    return undefined;
  }

  #isStale(tally: Tally): boolean {
    return tally.round !== this.#round && tally.lastMs <= this.#staleMs;
  }

  #sweep(): void {
    if (this.#sweptRound === this.#round) return;
    this.#sweptRound = this.#round;
    for (const tally of this.#tallies.values()) if (this.#isStale(tally)) this.#remove(tally);
  }

  #start(id: string, atMs: number, lines: readonly string[], count: number): Tally {
    if (this.#tallies.size >= talliesMax) this.#sweep();
    const oldest = this.#tallies.size >= talliesMax ? this.#tallies.values().next().value : undefined;
    if (oldest !== undefined) this.#remove(oldest);
    // An id is a piece of its line: it keeps that alive, and nothing more unless the line is long.
    const ownId = lines.every(isShort) ? id : detached(id);
    const tally: Tally = {
      id: ownId,
      firstMs: atMs,
      lastMs: atMs,
      retries: count,
      failures: 1,
      lines: [],
      round: this.#round,
    };
    this.#keepLines(tally, lines);
    this.#tallies.set(tally.id, tally);
    return tally;
  }

  #remove(tally: Tally): void {
    this.#tallies.delete(tally.id);
    this.#keptCharacters -= lengthOf(tally.lines);
    // A Map that goes on changing keeps what was in it from the garbage collector (see `Connections`): begin anew.
    this.#removed += 1;
    if (this.#removed < Math.max(removedMin, this.#tallies.size)) return;
    this.#removed = 0;
    this.#tallies = new Map(this.#tallies);
  }

  #keepLines(tally: Tally, lines: readonly string[]): void {
    const { maxMatches } = this.#settings;
    if (maxMatches <= 0 || lines.length === 0) return;
    if (this.#keptCharacters >= keptCharactersMax) this.#sweep();
    if (this.#keptCharacters >= keptCharactersMax) return;
    for (let index = Math.max(0, lines.length - maxMatches); index < lines.length; index += 1) {
      const line = shortened(lines[index] ?? "");
      this.#keptCharacters += line.length;
      tally.lines.push(line);
      if (tally.lines.length > maxMatches) this.#keptCharacters -= tally.lines.shift()?.length ?? 0;
    }
  }

  #passTime(tally: Tally, atMs: number): void {
    const { findTimeMs } = this.#settings;
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

function isShort(line: string): boolean {
  return line.length <= lineLengthMax;
}

function shortened(line: string): string {
  return isShort(line) ? line : detached(line);
}

/** A copy of its own: V8 would otherwise keep the whole line a short text was cut from. */
function detached(text: string): string {
  return Buffer.from(text.slice(0, lineLengthMax)).toString();
}

function lengthOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length, 0);
}
