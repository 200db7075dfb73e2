import { setFlagsFromString } from "node:v8";

/** What a second of CPU time says: an agent that follows quiet logs uses 1 to 5 ms of it. */
const busyMicros = 50_000;
/** A fifth of a core: from here on compiling pays. A burst of 5000 lines stays below it. */
const hardAtWorkMicros = 200_000;
/** Of logs within a second; the same in other words, known before the time is spent. */
const hardAtWorkBytes = 524_288;
/** Seconds without work until what the work left is given back. */
const quietSeconds = 3;
/** V8 forgets the code of a function that some collections found unused; each is a pause of 20 ms, so one a second. */
const collections = 6;
/** The small things an idle agent does every minute leave garbage as well. */
const afterwardsSeconds = 60;
/** With 100 000 bans in memory one takes as long as a second, to give back what does not matter beside them. */
const collectMicrosMax = 250_000;

export type Engine = Readonly<{
  /** CPU time of the main thread so far; what V8 does beside it, collecting among it, is not counted. */
  usedMicros: () => number;
  collect: () => void;
  /** Whether V8 may use its optimizing compiler. */
  optimize: (on: boolean) => void;
}>;

/**
 * Keeps the resident agent small: its start, and every burst of log lines, leave garbage, code that runs never again,
 * and a compiler in memory that an idle agent has no use for. V8 gives nothing of that back to an idle process.
 */
export class Footprint {
  readonly #engine: Engine;
  #usedMicros: number;
  #readBytes = 0;
  #quiet = 0;
  #collected = 0;
  #optimizing = false;
  #isTooDear = false;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#usedMicros = engine.usedMicros();
  }

  /** To be called with every part of a log. */
  reads(bytes: number): void {
    this.#readBytes += bytes;
    if (this.#readBytes >= hardAtWorkBytes) this.#optimize(true);
  }

  /** To be called every second. */
  tick(): void {
    this.#readBytes = 0;
    const before = this.#usedMicros;
    this.#usedMicros = this.#engine.usedMicros();
    const workMicros = this.#usedMicros - before;
    if (workMicros >= busyMicros) {
      this.#quiet = 0;
      this.#collected = 0;
      if (workMicros >= hardAtWorkMicros) this.#optimize(true);
      return;
    }
    this.#quiet += 1;
    const isDue = this.#collected < collections || this.#quiet % afterwardsSeconds === 0;
    if (this.#quiet < quietSeconds || !isDue) return;
    this.#optimize(false);
    if (this.#isTooDear) return;
    this.#collected += 1;
    this.#engine.collect();
    // Collecting is no work of the kind that makes garbage.
    const after = this.#engine.usedMicros();
    this.#isTooDear = after - this.#usedMicros > collectMicrosMax;
    this.#usedMicros = after;
  }

  #optimize(on: boolean): void {
    if (this.#optimizing === on) return;
    this.#optimizing = on;
    this.#engine.optimize(on);
  }
}

/** V8 as far as the packaged agent's flags allow: `--expose-gc`, and no optimizing compilers at its start. */
export function v8Engine(): Engine {
  const { gc } = globalThis;
  const isToSwitch = process.execArgv.includes("--no-turbofan");
  return {
    usedMicros: () => {
      const { user, system } = process.threadCpuUsage();
      return user + system;
    },
    collect: () => gc?.({ type: "major", execution: "sync", flavor: "last-resort" }),
    optimize: (on) => {
      if (isToSwitch) setFlagsFromString(on ? "--turbofan" : "--no-turbofan");
    },
  };
}
