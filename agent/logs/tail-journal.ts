import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../shared/errors.ts";
import * as shape from "../../shared/shape.ts";
import type { Logger } from "../logger.ts";
import { type JournalEntry, type JournalLine, lineFields, lineOf, parseJournalEntry } from "./journal-line.ts";
import { type MatchLines, selectFromJournal } from "./journal-matches.ts";
import { splitLines } from "./split-lines.ts";

/** Where reading of the journal stands; JSON, kept by the caller and given back. */
const JournalPosition = shape.object({
  cursor: shape.string().check(shape.minLength(1), shape.maxLength(512)),
  micros: shape.int().check(shape.nonnegative()),
});
export type JournalPosition = Readonly<shape.infer<typeof JournalPosition>>;

export type JournalBatch = Readonly<{
  /** In the journal's order; may be empty when only the position moved. */
  lines: readonly JournalLine[];
  /** Null before the first entry ever. */
  previous: JournalPosition | null;
  position: JournalPosition;
  /** Written since we have been watching. */
  live: boolean;
  /** As with log files: this host's jails counted these lines before. */
  seen: boolean;
}>;

export type JournalOptions = Readonly<{
  /** `journalmatch` lines of each jail; a jail without any gets every line. */
  matchesByJail: ReadonlyMap<string, MatchLines>;
  /** Both marks, as with log files (see `FileTail`). */
  saved: Readonly<{ kept: unknown; seen: unknown }> | undefined;
  /** Where a journal never read begins: older lines cannot matter any more. */
  sinceMs: number;
  /** The next batch comes when its promise is settled; meanwhile the reader's pipe fills, and it waits. */
  onBatch: (batch: JournalBatch) => Promise<void> | void;
  log: Logger;
  nowMs: () => number;
  /** `journalctl` with the options that name the journal. */
  command: readonly string[];
  restartMs?: Readonly<{ first: number; longest: number }>;
}>;

/** Follows the systemd journal through one `journalctl`, which is started again when it ends. */
export type JournalTail = AsyncDisposable &
  Readonly<{
    /** Why nothing is read now; null = it is. */
    problem(): string | null;
    counts: Readonly<JournalCounts>;
  }>;

export type JournalCounts = { entries: number; badEntries: number; restarts: number };

const restartMsDefault = { first: 1000, longest: 60_000 };
/** Of what the reader says when it ends; it goes into one sentence. */
const complaintLengthMax = 300;

export function openJournalTail(options: JournalOptions): JournalTail {
  const tail = new Tail(options);
  void tail.run();
  return {
    problem: () => tail.problem,
    counts: tail.counts,
    [Symbol.asyncDispose]: () => tail.close(),
  };
}

class Tail {
  readonly counts: JournalCounts = { entries: 0, badEntries: 0, restarts: 0 };
  problem: string | null = null;
  readonly #options: JournalOptions;
  readonly #selection;
  readonly #closing = new AbortController();
  #position: JournalPosition | null;
  #seen: JournalPosition | undefined;
  /** The journal no longer understands the cursor; by time it does. */
  #byTime = false;
  #child: ChildProcessByStdio<null, Readable, Readable> | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#selection = selectFromJournal(options.matchesByJail);
    const kept = JournalPosition.safeParse(options.saved?.kept).data;
    const seen = JournalPosition.safeParse(options.saved?.seen).data;
    this.#position = kept ?? seen ?? null;
    this.#seen = kept === undefined ? undefined : seen;
    for (const problem of this.#selection.problems) options.log.warn({ event: "journalmatch_unusable" }, problem);
  }

  run(): Promise<void> {
    this.#ended ??= this.#keepReading();
    return this.#ended;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  async #keepReading(): Promise<void> {
    const { first, longest } = this.#options.restartMs ?? restartMsDefault;
    let waitMs = first;
    while (!this.#closing.signal.aborted) {
      const before = this.counts.entries;
      const complaint = await this.#readOnce();
      if (this.#closing.signal.aborted) return;
      if (/seek to cursor/i.test(complaint)) this.#byTime = true;
      if (this.counts.entries > before) waitMs = first;
      this.#report(complaint);
      await delay(waitMs, undefined, { signal: this.#closing.signal }).catch(() => {});
      waitMs = Math.min(waitMs * 2, longest);
      this.counts.restarts += 1;
    }
  }

  /** @returns what the reader said on its way out */
  async #readOnce(): Promise<string> {
    const [command = "", ...options] = this.#options.command;
    const child = spawn(command, [...options, ...this.#arguments()], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, LC_ALL: "C" },
    });
    this.#child = child;
    let complaint = "";
    child.stderr.on("data", (bytes: Buffer) => {
      complaint = (complaint + bytes.toString()).slice(-complaintLengthMax);
    });
    // Also rejects when the program cannot be started.
    const ended = once(child, "close").then(
      () => complaint.trim(),
      (error: unknown) => missingSentence(command, error),
    );
    const startedMicros = this.#options.nowMs() * 1000;
    try {
      for await (const lines of splitLines(child.stdout)) {
        if (this.#closing.signal.aborted) break;
        await this.#take(lines, startedMicros);
      }
    } catch (error) {
      complaint += messageOf(error);
    }
    child.kill("SIGKILL");
    this.#child = undefined;
    return ended;
  }

  #arguments(): string[] {
    const { terms, fields } = this.#selection;
    const position = this.#position;
    const from =
      position !== null && !this.#byTime
        ? `--after-cursor=${position.cursor}`
        : `--since=@${Math.floor((position === null ? this.#options.sinceMs : position.micros / 1000) / 1000)}`;
    const outputFields = [...new Set([...lineFields, ...fields])].join(",");
    const format = ["--output=json", `--output-fields=${outputFields}`, "--all", "--no-pager", "--quiet"];
    return ["--follow", "--no-tail", ...format, from, ...terms];
  }

  async #take(jsonLines: readonly string[], startedMicros: number): Promise<void> {
    this.problem = null;
    let batch: JournalEntry[] = [];
    let isSeen = this.#seen !== undefined;
    for (const json of jsonLines) {
      const entry = parseJournalEntry(json);
      if (entry === undefined) {
        this.counts.badEntries += 1;
        continue;
      }
      // Read by time, the journal repeats what was read of that second.
      if (this.#byTime && entry.receivedMicros <= (this.#position?.micros ?? 0)) continue;
      if (isSeen && this.#isPastSeen(entry)) {
        await this.#give(batch, true, startedMicros);
        batch = [];
        isSeen = false;
      }
      batch.push(entry);
      if (entry.cursor === this.#seen?.cursor) {
        await this.#give(batch, true, startedMicros);
        batch = [];
        this.#seen = undefined;
        isSeen = false;
      }
    }
    await this.#give(batch, isSeen, startedMicros);
  }

  /** The entry of the seen mark itself may be gone from the journal. */
  #isPastSeen(entry: JournalEntry): boolean {
    if (this.#seen === undefined || entry.receivedMicros <= this.#seen.micros) return false;
    this.#seen = undefined;
    return true;
  }

  async #give(entries: readonly JournalEntry[], seen: boolean, startedMicros: number): Promise<void> {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.counts.entries += entries.length;
    const lines = entries.map((entry) => lineOf(entry, this.#selection.jailsOf(entry.valuesOf)));
    const previous = this.#position;
    const position = { cursor: last.cursor, micros: last.receivedMicros };
    this.#position = position;
    this.#byTime = false;
    const live = !seen && (entries[0]?.receivedMicros ?? 0) >= startedMicros;
    const wanted = lines.filter((line) => line.jails.length > 0);
    try {
      await this.#options.onBatch({ lines: wanted, previous, position, live, seen });
    } catch (err) {
      this.#options.log.error({ err, event: "journal_batch_failed" }, "lost journal lines to an error of our own");
    }
  }

  #report(complaint: string): void {
    const problem = `the journal's reader ended and is started again: ${complaint === "" ? "it gave no reason" : complaint}`;
    if (problem !== this.problem) this.#options.log.warn({ event: "journal_reader_ended" }, problem);
    this.problem = problem;
  }
}

function missingSentence(command: string, error: unknown): string {
  const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
  if (!isMissing) return messageOf(error);
  return `${command} is not installed; install systemd, or give the jails log files (backend = auto, logpath = …)`;
}
