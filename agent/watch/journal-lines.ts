import type { LineClock } from "../filters/found-failure.ts";
import type { Candidate } from "../filters/scanner.ts";
import { type Trouble, Watchdog } from "../filters/watchdog.ts";
import type { JournalLine } from "../logs/journal-line.ts";
import type { OnFailure } from "./log-lines.ts";
import type { WatchedJail } from "./watched-jail.ts";

const asciiOnly = /^[\x00-\x7f]*$/;

/** Finds the failures among journal entries; each line comes with its own time and with the jails it is for. */
export class JournalLines {
  readonly #jails: ReadonlyMap<string, WatchedJail>;
  readonly #byFilter: ReadonlyMap<WatchedJail["filter"], WatchedJail>;
  readonly #watchdog: Watchdog;

  constructor(jails: readonly WatchedJail[], report: (trouble: Trouble) => void) {
    this.#jails = new Map(jails.map((watched) => [watched.jail.name, watched]));
    this.#byFilter = new Map(jails.map((watched) => [watched.filter, watched]));
    this.#watchdog = new Watchdog(report);
  }

  find(lines: readonly JournalLine[], nowMs: number, live: boolean, onFailure: OnFailure): void {
    const candidates = this.#candidatesOf(lines, nowMs, live);
    let count = 0;
    const next = (): Candidate | undefined => {
      count += 1;
      return candidates[count - 1];
    };
    this.#watchdog.run(next, ({ filter }, outcome) => {
      const watched = this.#byFilter.get(filter);
      if (outcome.kind === "failure" && watched !== undefined) onFailure(watched, outcome.failure);
    });
  }

  #candidatesOf(lines: readonly JournalLine[], nowMs: number, live: boolean): readonly Candidate[] {
    return lines.flatMap(({ text, atMs, jails }) => {
      const clock: LineClock = { nowMs, mode: live ? "live" : "any", findTimeMs: 0, lineAtMs: atMs };
      const line = { line: text, ended: `${text}\n`, start: 0, ascii: asciiOnly.test(text), clock };
      return jails.flatMap((name) => {
        const filter = this.#jails.get(name)?.filter;
        return filter === undefined ? [] : [{ filter, ...line }];
      });
    });
  }
}
