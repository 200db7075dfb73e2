import { type Trouble, Watchdog } from "../filters/watchdog.ts";
import type { JournalLine } from "../logs/journal-line.ts";
import type { JailFailure } from "./delivery.ts";
import type { WatchedJail } from "./watched-jail.ts";

const asciiOnly = /^[\x00-\x7f]*$/;

/** Finds the failures among journal entries; each line comes with its own time and with the jails it is for. */
export class JournalLines {
  readonly #jails: ReadonlyMap<string, WatchedJail>;
  readonly #watchdog: Watchdog;

  constructor(jails: readonly WatchedJail[], report: (trouble: Trouble) => void) {
    this.#jails = new Map(jails.map((watched) => [watched.jail.name, watched]));
    this.#watchdog = new Watchdog(report);
  }

  find(lines: readonly JournalLine[], nowMs: number, live: boolean): JailFailure[] {
    const found: JailFailure[] = [];
    for (const { text, atMs, jails } of lines) {
      const clock = { nowMs, mode: live ? "live" : "any", findTimeMs: 0, lineAtMs: atMs } as const;
      for (const name of jails) {
        const watched = this.#jails.get(name);
        if (watched === undefined) continue;
        this.#watchdog.run(
          [{ filter: watched.filter, line: text, start: 0, ascii: asciiOnly.test(text) }],
          clock,
          (_task, outcome) => {
            if (outcome.kind === "failure")
              for (const failure of outcome.failures) found.push({ watched, found: failure });
          },
        );
      }
    }
    return found;
  }
}
