import { formatAddress, parseAddress } from "../../shared/address.ts";
import { dayMs } from "../../shared/durations.ts";
import { batchRowsMax, type Failure, type LocalBan, sampleLengthMax } from "../../shared/failure-batch.ts";
import type { Logger } from "../logger.ts";
import type { FilePosition } from "../logs/file-identity.ts";
import type { LogChunk } from "../logs/log-chunk.ts";
import { type FileTail, openFileTail } from "../logs/tail-files.ts";
import type { PositionStore } from "../store/positions.ts";
import type { JailEffects } from "./jail-effects.ts";
import { type JailFailure, LogLines } from "./log-lines.ts";
import type { WatchedJail } from "./watched-jail.ts";

/** What the coordinator's windows can still use; an agent started on a month-old log does not send the month. */
const reportAgeMaxMs = dayMs;

/** Takes what a chunk brought for the coordinator; false = no room, and `rewind` follows when there is. */
export type Report = (
  parcel: Readonly<{
    failures: readonly Failure[];
    localBans: readonly LocalBan[];
    positions: ReadonlyMap<string, unknown>;
  }>,
) => boolean;

export type LogWatchParts = Readonly<{
  jails: readonly WatchedJail[];
  effects: JailEffects;
  positions: PositionStore;
  /** The positions that a batch still on its way covers: it will arrive, so its lines must not be sent again. */
  inFlight: ReadonlyMap<string, unknown>;
  /** null: the agent works alone, and its own positions are all there is. */
  report: Report | null;
  evidence: "minimal" | "lines";
  now: () => number;
  log: Logger;
}>;

export type LogWatch = AsyncDisposable &
  Readonly<{
    tail: FileTail;
    /** There is room for the coordinator's copy again: logs go on being reported from where they were left. */
    resume(): void;
    /** Sentences about logs that cannot be read. */
    problems(): readonly string[];
  }>;

/** Follows the logs of all jails: each chunk through the filters, into the jails, and on to the coordinator. */
export function watchLogs(parts: LogWatchParts): LogWatch {
  const watch = new Watch(parts);
  return {
    tail: watch.tail,
    resume: () => watch.resume(),
    problems: () => watch.problems(),
    [Symbol.asyncDispose]: () => watch.tail[Symbol.asyncDispose](),
  };
}

class Watch {
  readonly tail: FileTail;
  readonly #parts: LogWatchParts;
  readonly #lines: LogLines;
  /** Logs whose chunks found no room: where to go on for the coordinator. */
  readonly #left = new Map<string, FilePosition>();
  /** Logs whose place for the coordinator is known; a new one's is written down before its first lines are sent. */
  readonly #placed = new Set<string>();
  /** Regexes that were stopped, by filter; said on every surface. */
  readonly #suspended = new Set<string>();

  constructor(parts: LogWatchParts) {
    this.#parts = parts;
    this.#lines = new LogLines(parts.jails, (trouble) => {
      if (trouble.kind === "suspended") {
        this.#suspended.add(
          `${trouble.filter}: ${trouble.place} is suspended on ${trouble.lines} lines, it took too long`,
        );
      }
      parts.log.error({ ...trouble, event: `line_${trouble.kind}` }, "a regex took too long");
    });
    const files = parts.jails.filter(({ settings }) => settings.source === "file");
    this.tail = openFileTail({
      globs: uniqueGlobs(files),
      saved: this.#savedPositions(),
      onChunk: (chunk) => this.#onChunk(chunk),
      log: parts.log,
      nowMs: parts.now,
    });
  }

  resume(): void {
    for (const [path, position] of this.#left) this.tail.rewind(path, position);
    this.#left.clear();
  }

  problems(): readonly string[] {
    const logs = this.tail.status().filter(({ problem }) => problem !== null);
    return [...logs.map(({ path, problem }) => `${path}: ${problem}`), ...this.#suspended];
  }

  #savedPositions() {
    const saved = this.#parts.positions.load();
    for (const [path, position] of this.#parts.inFlight)
      saved.set(path, { seen: saved.get(path)?.seen, acknowledged: position });
    for (const [path, { acknowledged }] of saved) if (acknowledged !== undefined) this.#placed.add(path);
    return saved;
  }

  async #onChunk(chunk: LogChunk): Promise<void> {
    const nowMs = this.#parts.now();
    const clock = { nowMs, mode: chunk.live ? "live" : "any", findTimeMs: 0 } as const;
    const found = this.#lines.find(chunk.lines, chunk.globs, clock);
    const localBans = chunk.seen ? [] : await this.#judge(found, nowMs);
    this.#deliver(chunk, found, localBans, nowMs);
  }

  /** The host's own jails: fail2ban's work. */
  async #judge(found: readonly JailFailure[], nowMs: number): Promise<LocalBan[]> {
    const decided = [];
    for (const { watched, found: failure } of found) {
      // Older than findtime: what fail2ban, too, skips when it catches up.
      if (failure.atMs < nowMs - watched.settings.findTimeMs) continue;
      for (const decision of await watched.take(failure, nowMs)) decided.push({ watched, decision });
    }
    return decided.length === 0 ? [] : await this.#parts.effects.carryOut(decided, nowMs);
  }

  #deliver(chunk: LogChunk, found: readonly JailFailure[], localBans: LocalBan[], nowMs: number): void {
    const { report, positions } = this.#parts;
    if (report !== null && !this.#placed.has(chunk.path)) {
      positions.saveAcknowledged(new Map([[chunk.path, chunk.previous]]), nowMs);
      this.#placed.add(chunk.path);
    }
    const after = new Map([[chunk.path, chunk.position]]);
    positions.saveSeen(after, nowMs);
    if (report === null || this.#left.has(chunk.path)) return;
    const failures = this.#reported(found, nowMs);
    if (this.#fits(report, failures, localBans, after)) return;
    this.#left.set(chunk.path, chunk.previous);
  }

  /** Rows beyond one batch go before, without a position: the position moves with the last of them. */
  #fits(
    report: Report,
    failures: readonly Failure[],
    localBans: readonly LocalBan[],
    after: ReadonlyMap<string, unknown>,
  ): boolean {
    const rest = [...failures];
    const bans = [...localBans];
    while (rest.length + bans.length > batchRowsMax) {
      const parcel = {
        failures: rest.splice(0, batchRowsMax),
        localBans: [] as LocalBan[],
        positions: new Map<string, unknown>(),
      };
      if (parcel.failures.length === 0) parcel.localBans = bans.splice(0, batchRowsMax);
      if (!report(parcel)) return false;
    }
    return report({ failures: rest, localBans: bans, positions: after });
  }

  /** Failures of addresses, equal ones of a second added up. */
  #reported(found: readonly JailFailure[], nowMs: number): Failure[] {
    const rows = new Map<string, Failure>();
    for (const { watched, found: failure } of found) {
      const address = failure.ip === null ? undefined : parseAddress(failure.ip);
      if (address === undefined || failure.atMs < nowMs - reportAgeMaxMs) continue;
      const jail = watched.jail.name;
      const text = formatAddress(address);
      const key = `${jail} ${text} ${Math.floor(failure.atMs / 1000)}`;
      const known = rows.get(key);
      if (known !== undefined) rows.set(key, { ...known, count: known.count + failure.count });
      else
        rows.set(key, {
          atMs: failure.atMs,
          address: text,
          jail,
          count: failure.count,
          ...this.#sample(failure.lines),
        });
    }
    return [...rows.values()];
  }

  #sample(lines: readonly string[]): Readonly<{ sample?: string }> {
    const line = this.#parts.evidence === "lines" ? lines.at(-1) : undefined;
    return line === undefined ? {} : { sample: line.slice(0, sampleLengthMax) };
  }
}

function uniqueGlobs(jails: readonly WatchedJail[]) {
  const globs = new Map<string, WatchedJail["settings"]["logPaths"][number]>();
  for (const { settings } of jails) {
    for (const each of settings.logPaths) {
      // One jail that wants the whole file gets it; jails that asked for its end only count what is recent anyway.
      if (globs.get(each.glob)?.start !== "head") globs.set(each.glob, each);
    }
  }
  return [...globs.values()];
}
