import { statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "../logger.ts";
import { CatchUpPace } from "./catch-up-pace.ts";
import { giveBackBuffer, takeBuffer } from "./chunk-buffers.ts";
import type { FilePosition } from "./file-identity.ts";
import type { LogChunk, TailCounts } from "./log-chunk.ts";
import { problemOf } from "./log-problem.ts";
import { type FileReading, readChunk, skipToEnd } from "./read-chunks.ts";
import { positionOf, resume } from "./resume-position.ts";

/** A daemon may write to a rotated file until it is told to reopen it. */
const drainMs = 10_000;
/** A deleted log that nobody writes to any more is let go, so that its disk space is freed. */
const goneKeepMs = 60_000;

export type FollowDeps = Readonly<{
  onChunk: (chunk: LogChunk) => Promise<void> | void;
  log: Logger;
  nowMs: () => number;
  counts: TailCounts;
}>;

export type FollowStart = Readonly<{
  /** Where to read on; empty for a log never read. */
  position: FilePosition;
  seen: FilePosition;
  /** A log never read begins at its end. */
  atEnd: boolean;
}>;

/** One log, by its path, through all the files that path has named. */
export class FollowedPath {
  readonly path: string;
  readonly globs = new Set<string>();
  /** Why it cannot be read now; it is tried again with every `wake`. */
  problem: string | undefined;
  readonly #deps: FollowDeps;
  #readings: readonly FileReading[] = [];
  /** When a file was superseded by a newer one; the newest has no entry. */
  readonly #rotatedAtMs = new Map<FileReading, number>();
  /** Empty files looked behind, see `#mayHideOthers`; at most the newest. */
  readonly #looked = new Set<number>();
  #start: FollowStart | undefined;
  #position: FilePosition;
  #seen: FilePosition;
  #live = false;
  #grewAtMs: number;
  readonly #pace: CatchUpPace;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(path: string, start: FollowStart, deps: FollowDeps) {
    this.path = path;
    this.#deps = deps;
    this.#pace = new CatchUpPace(deps.nowMs);
    this.#start = start;
    this.#position = start.position;
    this.#seen = start.seen;
    this.#grewAtMs = deps.nowMs();
  }

  /** Reads whatever is new; resolves when the end is reached and every chunk has been received. Never throws. */
  wake(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Neither read nor waited for: nothing of it was there for a while. */
  isGone(): boolean {
    return this.#readings.length === 0 && this.#deps.nowMs() - this.#grewAtMs > goneKeepMs && !exists(this.path);
  }

  get live(): boolean {
    return this.#live;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    this.#closeAll(this.#readings);
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#readAll();
        this.#solved();
      }
    } catch (error) {
      this.#report(error);
    } finally {
      this.#running = undefined;
    }
  }

  /** Reads every open file to its end, then looks whether the path names another file by now, until it does not. */
  async #readAll(): Promise<void> {
    for (;;) {
      if (this.#closed) return;
      if (this.#start !== undefined && !(await this.#begin(this.#start))) return;
      if (this.#mayHideOthers()) await this.#findAgain(undefined);
      const replaced = await this.#drain();
      if (this.#closed) return;
      if (replaced !== undefined) {
        await this.#findAgain(replaced);
        continue;
      }
      if (this.#isCurrent()) break;
      await this.#findAgain(undefined);
    }
    this.#live = true;
    this.#letGo();
  }

  /** @returns false when there is nothing to read yet */
  async #begin(start: FollowStart): Promise<boolean> {
    if (statSync(this.path, { throwIfNoEntry: false }) === undefined) return false;
    const { readings, found } = await resume(this.path, start.position, start.seen);
    const [first] = readings;
    if (first === undefined) return false;
    this.#closeAll(this.#readings);
    this.#position = start.position;
    if (start.atEnd && start.position.length === 0) {
      await skipToEnd(first);
      this.#position = positionOf(readings);
    }
    this.#seen = start.seen;
    this.#live = false;
    this.#start = undefined;
    this.#take(readings);
    if (!found) this.#reportLost();
    return true;
  }

  /**
   * An empty file got its first lines. Before, it may have had others, copied away and truncated unseen; they are in
   * a file between the last one read and this one.
   */
  #mayHideOthers(): boolean {
    const newest = this.#readings.at(-1);
    if (newest === undefined || newest.offset > 0 || this.#position.length === 0) return false;
    if (this.#looked.has(newest.source.inode) || newest.source.size() === 0) return false;
    this.#looked.add(newest.source.inode);
    return true;
  }

  /** After a rotation: the files that are open are read on, what is new is opened. */
  async #findAgain(replaced: FileReading | undefined): Promise<void> {
    const held = this.#readings.filter((each) => each !== replaced);
    const lost = replaced === undefined ? [] : positionOf([replaced]);
    // What is held but not begun says nothing about what was read before it; the last position does.
    if (held.at(-1)?.offset === 0) lost.push(...this.#position);
    const { readings, found } = await resume(this.path, lost, this.#seen, held);
    replaced?.source.close();
    this.#take(readings);
    if (!found) this.#reportLost();
  }

  #take(readings: readonly FileReading[]): void {
    this.#readings = readings;
    for (const reading of readings.slice(0, -1)) {
      if (!this.#rotatedAtMs.has(reading)) this.#rotatedAtMs.set(reading, this.#deps.nowMs());
    }
  }

  /** @returns the reading whose file is not the same any more */
  async #drain(): Promise<FileReading | undefined> {
    for (const reading of this.#readings) {
      const buffer = takeBuffer();
      try {
        if (await this.#drainOne(reading, buffer)) return reading;
      } catch (error) {
        if (reading === this.#readings.at(-1)) throw error;
        // One broken old file must not keep the newer ones from being read.
        this.#report(error);
        this.#rotatedAtMs.set(reading, Number.NEGATIVE_INFINITY);
      } finally {
        giveBackBuffer(buffer);
      }
    }
    return undefined;
  }

  async #drainOne(reading: FileReading, buffer: Buffer): Promise<boolean> {
    while (!this.#closed) {
      const result = await readChunk(reading, buffer);
      if (result.kind === "end") return false;
      if (result.kind === "replaced") return true;
      this.#grewAtMs = this.#deps.nowMs();
      if (result.kind === "skipped") {
        this.#deps.counts.nulBytes += result.nulBytes;
        continue;
      }
      await this.#give(result.lines, result.cut, result.seen);
    }
    return false;
  }

  async #give(lines: Buffer, cut: boolean, seen: boolean): Promise<void> {
    const { onChunk, log, counts } = this.#deps;
    counts.bytes += lines.length;
    if (cut) counts.longLines += 1;
    if (!seen) this.#seen = [];
    this.#looked.clear();
    const previous = this.#position;
    this.#position = positionOf(this.#readings);
    const live = this.#live && !seen;
    const globs = [...this.globs];
    try {
      await onChunk({ path: this.path, globs, lines, cut, previous, position: this.#position, live, seen });
    } catch (err) {
      log.error({ path: this.path, err, event: "log_chunk_failed" }, "lost a part of a log to an error of our own");
    }
    await (live ? nextTurn() : this.#pace.rest());
  }

  /** Whether the path still names the newest file, or nothing, as between rename and create. */
  #isCurrent(): boolean {
    const stat = statSync(this.path, { throwIfNoEntry: false });
    if (stat === undefined) return true;
    const newest = this.#readings.at(-1)?.source;
    return newest?.device === stat.dev && newest.inode === stat.ino;
  }

  #letGo(): void {
    const nowMs = this.#deps.nowMs();
    const drained = this.#readings.slice(0, -1).filter((each) => {
      const rotatedAtMs = this.#rotatedAtMs.get(each) ?? nowMs;
      return !each.source.grows || nowMs - rotatedAtMs >= drainMs;
    });
    const newest = this.#readings.at(-1);
    const isGone = newest !== undefined && nowMs - this.#grewAtMs >= goneKeepMs && !exists(this.path);
    if (isGone) drained.push(newest);
    if (drained.length === 0) return;
    if (isGone) this.#start = { position: this.#position, seen: this.#seen, atEnd: false };
    for (const { source, offset } of drained) {
      if (source.grows && source.size() > offset) this.#deps.counts.halfLines += 1;
    }
    this.#closeAll(drained);
    this.#readings = this.#readings.filter((each) => !drained.includes(each));
  }

  #closeAll(readings: readonly FileReading[]): void {
    for (const reading of readings) {
      reading.source.close();
      this.#rotatedAtMs.delete(reading);
    }
  }

  #reportLost(): void {
    const newest = this.#readings.at(-1);
    if (newest !== undefined) this.#looked.add(newest.source.inode);
    this.#deps.counts.lostPlaces += 1;
    this.#deps.log.warn(
      { path: this.path, event: "log_place_lost" },
      "found no file with the place where reading stopped; reading the log from its start, lines in between may be lost",
    );
  }

  #report(error: unknown): void {
    const problem = problemOf(this.path, error);
    if (problem === this.problem) return;
    this.problem = problem;
    this.#deps.log.warn({ path: this.path, err: error, event: "log_unreadable" }, problem);
  }

  #solved(): void {
    if (this.problem === undefined) return;
    this.problem = undefined;
    this.#deps.log.info({ path: this.path, event: "log_readable" }, "the log can be read again");
  }
}

function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
