import type { Cursors } from "../store/cursors.ts";
import { OutdatedError } from "./informed-judge.ts";

/**
 * Turns in a row that overlap. PostgreSQL lets one after the other share the rows of our partitions while somebody waits
 * to give them to another coordinator: between two turns that do not overlap it is his turn.
 */
const overlapsMax = 32;

/** A turn that has let the next one begin and is not committed yet; `ended` rejects when it fails, `copied` never. */
type Writing = Readonly<{ ended: Promise<void>; copied: Promise<void>; moved: Cursors }>;

/** One attempt of a turn, which may begin while the turn before is still being written. */
export type Attempt = Readonly<{
  /** What the turn before has moved, while it is not committed yet. */
  moved: Cursors | undefined;
  /**
   * Waits until the turn before is committed.
   *
   * @throws OutdatedError when it failed: what the judge was told since is void
   */
  before(): Promise<void>;
  /** Resolves when the turn before has copied its failures, or has failed. */
  copiedBefore: Promise<void>;
  /** Our failures are copied. */
  copied(): void;
  /** The next turn may begin. */
  letOn(moved: Cursors): void;
  committed(): void;
  failed(): void;
}>;

/** One turn after the other. Of those that overlap, one is judged while the one before is written; never more than two. */
export class TurnQueue {
  /** Resolves when the next turn may begin. */
  #free: Promise<unknown> = Promise.resolve();
  #writing: Writing | undefined;
  #overlaps = 0;

  /** After all turns before are committed, or have failed. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#free.then(() => this.#written()).then(work);
    this.#free = done.catch(() => undefined);
    return done;
  }

  /**
   * As soon as the turn before lets it, if it may.
   *
   * @param work  gets what its attempts tell `begin`
   */
  overlapping<T>(may: () => boolean, work: (next: () => void) => Promise<T>): Promise<T> {
    const free = Promise.withResolvers<void>();
    const overlaps = (): boolean => may() && this.#overlaps < overlapsMax;
    const done = this.#free.then(() => (overlaps() ? undefined : this.#written())).then(() => work(free.resolve));
    this.#free = Promise.race([free.promise, done.catch(() => undefined)]);
    return done;
  }

  /** Resolves when a turn that overlaps would begin at once. */
  async free(): Promise<void> {
    await this.#free;
  }

  begin(next?: () => void): Attempt {
    const before = this.#writing;
    const ended = Promise.withResolvers<void>();
    const copied = Promise.withResolvers<void>();
    // Whoever overlaps hears of it; nobody must.
    ended.promise.catch(() => undefined);
    const end = (): void => {
      copied.resolve();
      if (this.#writing?.ended === ended.promise) this.#writing = undefined;
    };
    return {
      moved: before?.moved,
      before: async () => {
        await before?.ended;
      },
      copiedBefore: before?.copied ?? Promise.resolve(),
      copied: copied.resolve,
      letOn: (moved) => {
        if (next === undefined) return;
        this.#writing = { ended: ended.promise, copied: copied.promise, moved };
        this.#overlaps += 1;
        next();
      },
      committed: () => {
        end();
        ended.resolve();
      },
      failed: () => {
        end();
        ended.reject(new OutdatedError("rebuild"));
      },
    };
  }

  async #written(): Promise<void> {
    this.#overlaps = 0;
    await this.#writing?.ended.catch(() => undefined);
  }
}
