import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";

/** Short enough that nothing else in the agent notices. */
const sliceMs = 20;
/** A pause this long was a rest already. */
const idleMs = 200;

/**
 * Catching up after a downtime takes at most half a core, and leaves the garbage collector its time: works for a
 * slice, then rests as long.
 */
export class CatchUpPace {
  readonly #nowMs: () => number;
  readonly #delay: (ms: number) => Promise<unknown>;
  #sliceStartMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => number, wait: (ms: number) => Promise<unknown> = delay) {
    this.#nowMs = nowMs;
    this.#delay = wait;
  }

  /** To be awaited after each piece of work. */
  async rest(): Promise<void> {
    const workedMs = this.#nowMs() - this.#sliceStartMs;
    if (workedMs < sliceMs) {
      await nextTurn();
      return;
    }
    if (workedMs < idleMs) await this.#delay(workedMs);
    this.#sliceStartMs = this.#nowMs();
  }
}
