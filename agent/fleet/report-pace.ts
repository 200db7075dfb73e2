import { minuteMs, secondMs } from "../../shared/durations.ts";
import { monotonicMs } from "../monotonic.ts";

/** Reports come at least this often … */
const intervalMs = minuteMs;
/** … and at most this often. */
const pauseMs = secondMs;

/** Says when to report: soon after something happened, but not more often than is useful, and now and then anyway. */
export class ReportPace implements Disposable {
  /** False when cut off. */
  readonly #send: () => boolean;
  readonly #random: () => number;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #isDone = false;
  #closed = false;

  constructor(send: () => boolean, random: () => number) {
    this.#send = send;
    this.#random = random;
  }

  /** The last report was sent, and nothing has happened since. */
  get isDone(): boolean {
    return this.#isDone;
  }

  soon(delayMs: number): void {
    this.#schedule(Math.max(delayMs, this.#lastMs + pauseMs - monotonicMs()));
    this.#isDone = false;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#lastMs = monotonicMs();
      this.#isDone = this.#send();
      this.#schedule(intervalMs * (0.75 + this.#random() / 2));
    }, delayMs);
  }
}
