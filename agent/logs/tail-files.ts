import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Logger } from "../logger.ts";
import type { LogPath } from "../settings/jail-settings.ts";
import { expandGlob } from "./expand-glob.ts";
import { parseFilePosition } from "./file-identity.ts";
import { FollowedPath, type FollowStart } from "./follow-path.ts";
import type { LogChunk, TailCounts } from "./log-chunk.ts";
import { rotatedBaseOf } from "./rotated-names.ts";
import { watchDirectories } from "./watch-directories.ts";

/** Logs followed at once; each holds a descriptor or two. */
export const followedPathsMax = 1000;
/** Events are only hints: this is how long a change can stay unseen when one is missing. */
const pollMsDefault = 2000;
/** New names mostly come in groups, and mostly are not ours: one look serves them all. */
const lookDelayMs = 50;

export type TailOptions = Readonly<{
  globs: readonly LogPath[];
  /** What the caller saved, by path; anything that is no position counts as nothing saved. */
  saved: ReadonlyMap<string, Readonly<{ kept: unknown; seen: unknown }>>;
  /** The next lines of the same log come when its promise is settled; other logs are not held up. */
  onChunk: (chunk: LogChunk) => Promise<void> | void;
  log: Logger;
  nowMs: () => number;
  pollMs?: number;
}>;

/**
 * Follows every file of the globs through rotation: nothing is lost, nothing comes twice.
 *
 * The tail saves nothing itself. Each chunk says where its log stands after it, and the caller keeps that in two marks
 * per path, given back as `saved` at the next start:
 * - `seen`, when its own jails have counted the lines;
 * - `kept`, when what they led to is written down for the coordinator; reading starts there again. When a path has none yet,
 *   save the first chunk's `previous`. Without a coordinator leave it out: reading then starts at `seen`.
 * Lines between the two come with `seen: true`: for the coordinator, not for the jails to count again.
 */
export type FileTail = AsyncDisposable &
  Readonly<{
    /** Looks at everything now; resolves when all logs were read to their end and every chunk has been received. */
    readNow(): Promise<void>;
    status(): readonly FileStatus[];
    counts: Readonly<TailCounts>;
  }>;

/** `problem` null = it is being read. A glob that leads to no file yet appears with itself as the path. */
export type FileStatus = Readonly<{ path: string; globs: readonly string[]; live: boolean; problem: string | null }>;

export function openFileTail(options: TailOptions): FileTail {
  const tail = new Tail(options);
  return {
    readNow: () => tail.readNow(),
    status: () => tail.status(),
    counts: tail.counts,
    [Symbol.asyncDispose]: () => tail.close(),
  };
}

class Tail {
  readonly counts: TailCounts = { bytes: 0, longLines: 0, halfLines: 0, nulBytes: 0, lostPlaces: 0 };
  readonly #options: TailOptions;
  readonly #followed = new Map<string, FollowedPath>();
  /** By real directory and name, as events name files; a link's target is followed through its link. */
  readonly #byEvent = new Map<string, FollowedPath>();
  readonly #waiting = new Set<string>();
  readonly #directories;
  readonly #timer: NodeJS.Timeout;
  #lookTimer: NodeJS.Timeout | undefined;
  #isFirstLook = true;
  #isCrowded = false;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#directories = watchDirectories((...event) => this.#onEvent(...event), options.log);
    this.#timer = setInterval(() => void this.readNow(), options.pollMs ?? pollMsDefault);
    void this.readNow();
  }

  async readNow(): Promise<void> {
    this.#look();
    await Promise.all([...this.#followed.values()].map((each) => each.wake()));
  }

  status(): readonly FileStatus[] {
    const waiting = [...this.#waiting].map((glob) => {
      return { path: glob, globs: [glob], live: false, problem: "no such file yet; waiting for it" };
    });
    const followed = [...this.#followed.values()].map((each) => {
      return { path: each.path, globs: [...each.globs], live: each.live, problem: each.problem ?? null };
    });
    return [...followed, ...waiting];
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#lookTimer);
    this.#directories[Symbol.dispose]();
    await Promise.all([...this.#followed.values()].map((each) => each.close()));
  }

  #onEvent(directory: string, name: string | null, isNews: boolean): void {
    const followed = name === null ? undefined : this.#byEvent.get(join(directory, name));
    if (followed !== undefined) {
      void followed.wake();
      return;
    }
    if (isNews) this.#lookTimer ??= setTimeout(() => this.#look(), lookDelayMs);
  }

  /** Evaluates the globs; new files are followed, directories are watched. */
  #look(): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    const globsByPath = new Map<string, LogPath[]>();
    const directories = new Set<string>();
    for (const logPath of this.#options.globs) {
      const { paths, directories: listed, tooMany } = expandGlob(logPath.glob);
      if (tooMany) this.#noteCrowd(logPath.glob);
      for (const directory of listed) directories.add(directory);
      this.#noteWaiting(logPath.glob, paths.length === 0);
      for (const path of paths) globsByPath.set(path, [...(globsByPath.get(path) ?? []), logPath]);
    }
    for (const [path, globs] of globsByPath) {
      const base = rotatedBaseOf(basename(path), (name) => {
        const basePath = join(dirname(path), name);
        return globsByPath.has(basePath) || this.#followed.has(basePath);
      });
      if (base === undefined) this.#follow(path, globs);
    }
    this.#isFirstLook = false;
    for (const [path, followed] of this.#followed) if (followed.isGone()) this.#forget(path, followed);
    for (const place of this.#byEvent.keys()) directories.add(dirname(place));
    this.#directories.set(directories);
  }

  #follow(path: string, globs: readonly LogPath[]): void {
    const real = realPathOf(path);
    const known = this.#followed.get(path) ?? this.#byEvent.get(real);
    const followed = known ?? this.#start(path, globs);
    if (followed === undefined) return;
    for (const { glob } of globs) followed.globs.add(glob);
    if (known !== undefined) return;
    this.#byEvent.set(path, followed);
    this.#byEvent.set(real, followed);
    void followed.wake();
  }

  #start(path: string, globs: readonly LogPath[]): FollowedPath | undefined {
    if (this.#followed.size >= followedPathsMax) {
      this.#noteCrowd(path);
      return undefined;
    }
    const saved = this.#options.saved.get(path);
    const seen = parseFilePosition(saved?.seen);
    const kept = parseFilePosition(saved?.kept);
    const start: FollowStart = {
      position: kept ?? seen ?? [],
      seen: kept === undefined ? [] : (seen ?? []),
      // What appears while we watch is new from its first line on.
      atEnd: this.#isFirstLook && globs.every((each) => each.start === "tail"),
    };
    const { onChunk, log, nowMs } = this.#options;
    const followed = new FollowedPath(path, start, { onChunk, log, nowMs, counts: this.counts });
    this.#followed.set(path, followed);
    return followed;
  }

  #forget(path: string, followed: FollowedPath): void {
    this.#followed.delete(path);
    for (const [place, each] of this.#byEvent) if (each === followed) this.#byEvent.delete(place);
    void followed.close();
  }

  #noteCrowd(path: string): void {
    if (this.#isCrowded) return;
    this.#isCrowded = true;
    const sentence = `not following more than ${followedPathsMax} logs; narrow the jails' logpath`;
    this.#options.log.warn({ path, event: "too_many_logs" }, sentence);
  }

  #noteWaiting(glob: string, isWaiting: boolean): void {
    if (this.#waiting.has(glob) === isWaiting) return;
    if (!isWaiting) {
      this.#waiting.delete(glob);
      return;
    }
    this.#waiting.add(glob);
    this.#options.log.info({ glob, event: "log_missing" }, "no log file there yet; waiting for it");
  }
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
