import { secondMs } from "../../shared/durations.ts";
import type { DateDetector } from "../dates/date-detector.ts";
import type { LineClock } from "./found-failure.ts";

/** A line without a date takes the last one seen, unless that is older; a live line further off than this is dated now. */
const toleranceMs = 60 * secondMs;

/** `atMs` null: nothing dates the line. `tooOld`: a line from before the find time, met while catching up. */
export type DatedLine = Readonly<{ text: string; atMs: number | null; tooOld: boolean }>;

/** Cuts the date out of a jail's lines and decides which time counts. */
export class LineDates {
  readonly #detector: DateDetector | null;
  #lastAtMs: number | null = null;

  /** @param detector  null when lines carry no date */
  constructor(detector: DateDetector | null) {
    this.#detector = detector;
  }

  read(line: string, clock: LineClock): DatedLine {
    if (this.#detector === null || clock.lineAtMs !== undefined) {
      const atMs = clock.lineAtMs ?? clock.nowMs;
      this.#lastAtMs = atMs;
      return this.#inTime(line, atMs, clock);
    }
    const found = this.#detector.find(line, clock.nowMs);
    if (found === undefined) return this.#undated(line, line, clock);
    const text = line.slice(0, found.start) + line.slice(found.end);
    if (found.atMs !== null) {
      this.#lastAtMs = found.atMs;
      return this.#inTime(text, found.atMs, clock);
    }
    // An empty span: the filter says that the date is optional. Any other without a time only looked like a date.
    if (found.start === found.end) return this.#inTime(line, this.#recent(clock) ?? clock.nowMs, clock);
    return this.#undated(text, line, clock);
  }

  #undated(text: string, line: string, clock: LineClock): DatedLine {
    const recent = this.#recent(clock);
    if (recent !== null) return this.#inTime(line, recent, clock);
    if (clock.mode === "live") return this.#inTime(text, clock.nowMs, clock);
    return { text, atMs: null, tooOld: false };
  }

  #recent(clock: LineClock): number | null {
    return this.#lastAtMs !== null && this.#lastAtMs > clock.nowMs - toleranceMs ? this.#lastAtMs : null;
  }

  #inTime(text: string, atMs: number, clock: LineClock): DatedLine {
    if (clock.mode === "catchUp") return { text, atMs, tooOld: atMs < clock.nowMs - clock.findTimeMs };
    // Whole seconds of distance, as fail2ban counts them.
    if (clock.mode === "live" && Math.trunc(Math.abs(atMs - clock.nowMs) / secondMs) > toleranceMs / secondMs) {
      this.#lastAtMs = clock.nowMs;
      return { text, atMs: clock.nowMs, tooOld: false };
    }
    return { text, atMs, tooOld: false };
  }
}
