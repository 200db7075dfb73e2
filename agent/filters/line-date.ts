import { secondMs } from "../../shared/durations.ts";
import type { DateDetector } from "../dates/date-detector.ts";
import type { LineClock } from "./found-failure.ts";

/** A line without a date takes the last one seen, unless that is older; a live line further off than this is dated now. */
const toleranceMs = 60 * secondMs;

/** Finds the date in a jail's lines and decides which time counts. Its fields are the answer for the last line read. */
export class LineDates {
  /** What to cut out of the line; nothing when both are equal. */
  from = 0;
  to = 0;
  /** null: nothing dates the line. */
  atMs: number | null = null;
  readonly #detector: DateDetector | null;
  #lastAtMs: number | null = null;

  /** @param detector  null when lines carry no date */
  constructor(detector: DateDetector | null) {
    this.#detector = detector;
  }

  /** @returns false for a line from before the find time, met while catching up */
  read(line: string, clock: LineClock): boolean {
    if (this.#detector === null || clock.lineAtMs !== undefined) {
      const atMs = clock.lineAtMs ?? clock.nowMs;
      this.#lastAtMs = atMs;
      return this.#inTime(0, 0, atMs, clock);
    }
    const found = this.#detector.find(line, clock.nowMs);
    if (found === undefined) return this.#undated(0, 0, clock);
    const { start, end, atMs } = found;
    if (atMs !== null) {
      this.#lastAtMs = atMs;
      return this.#inTime(start, end, atMs, clock);
    }
    // An empty span: the filter says that the date is optional. Any other without a time only looked like a date.
    if (start === end) return this.#inTime(0, 0, this.#recent(clock) ?? clock.nowMs, clock);
    return this.#undated(start, end, clock);
  }

  #undated(from: number, to: number, clock: LineClock): boolean {
    const recent = this.#recent(clock);
    if (recent !== null) return this.#inTime(0, 0, recent, clock);
    if (clock.mode === "live") return this.#inTime(from, to, clock.nowMs, clock);
    return this.#answer(from, to, null);
  }

  #recent(clock: LineClock): number | null {
    return this.#lastAtMs !== null && this.#lastAtMs > clock.nowMs - toleranceMs ? this.#lastAtMs : null;
  }

  #inTime(from: number, to: number, atMs: number, clock: LineClock): boolean {
    if (clock.mode === "catchUp" && atMs < clock.nowMs - clock.findTimeMs) return false;
    // Whole seconds of distance, as fail2ban counts them.
    if (clock.mode === "live" && Math.trunc(Math.abs(atMs - clock.nowMs) / secondMs) > toleranceMs / secondMs) {
      this.#lastAtMs = clock.nowMs;
      return this.#answer(from, to, clock.nowMs);
    }
    return this.#answer(from, to, atMs);
  }

  #answer(from: number, to: number, atMs: number | null): boolean {
    this.from = from;
    this.to = to;
    this.atMs = atMs;
    return true;
  }
}
