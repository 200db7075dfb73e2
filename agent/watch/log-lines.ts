import { createLogFilters, type LogFilters } from "../filters/filter-log.ts";
import type { FoundFailure, LineClock } from "../filters/found-failure.ts";
import type { TimeLimits, Trouble } from "../filters/watchdog.ts";
import { encodingNamed } from "../settings/log-encoding.ts";
import type { WatchedJail } from "./watched-jail.ts";

export type OnFailure = (watched: WatchedJail, found: FoundFailure) => void;

/** Filters of one log that read it in the same encoding: one pass over its lines serves them all. */
type Group = Readonly<{ filters: LogFilters; jails: ReadonlyMap<WatchedJail["filter"], WatchedJail> }>;

/**
 * Finds the failures in chunks of log files. Which jails read a log follows from the globs it was found by; the
 * groups of filters are made once per set of globs.
 */
export class LogLines {
  readonly #jails: readonly WatchedJail[];
  readonly #options: Readonly<{ report: (trouble: Trouble) => void; limits?: TimeLimits }>;
  readonly #groups = new Map<string, readonly Group[]>();

  /** @param limits  of the watchdog; tests want shorter ones */
  constructor(jails: readonly WatchedJail[], report: (trouble: Trouble) => void, limits?: TimeLimits) {
    this.#jails = jails;
    this.#options = limits === undefined ? { report } : { report, limits };
  }

  /** @param onFailure  called in the order of the log, as each jail sees it */
  find(lines: Buffer, globs: readonly string[], clock: LineClock, onFailure: OnFailure): void {
    for (const { filters, jails } of this.#groupsFor(globs)) {
      filters.process(lines, clock, (task, outcome) => {
        const watched = jails.get(task.filter);
        if (outcome.kind === "failure" && watched !== undefined) onFailure(watched, outcome.failure);
      });
    }
  }

  #groupsFor(globs: readonly string[]): readonly Group[] {
    const key = globs.toSorted().join("\n");
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const readers = this.#jails.filter(({ settings }) => settings.logPaths.some(({ glob }) => globs.includes(glob)));
    const byEncoding = Map.groupBy(readers, ({ settings }) => encodingNamed(settings.logEncoding) ?? "utf-8");
    const groups = [...byEncoding].map(([encoding, jails]): Group => {
      const filters = createLogFilters(
        jails.map(({ filter }) => filter),
        { ...this.#options, encoding },
      );
      return { filters, jails: new Map(jails.map((watched) => [watched.filter, watched])) };
    });
    this.#groups.set(key, groups);
    return groups;
  }
}
