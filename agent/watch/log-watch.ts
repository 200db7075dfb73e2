import type { Trouble } from "../filters/watchdog.ts";
import type { Logger } from "../logger.ts";
import { type FileTail, openFileTail } from "../logs/tail-files.ts";
import { Delivery, type DeliveryParts, type Stretch } from "./delivery.ts";
import { followJournals } from "./follow-journals.ts";
import { LogLines } from "./log-lines.ts";
import { StretchSearch } from "./search-stretches.ts";
import type { WatchedJail } from "./watched-jail.ts";

export type LogWatchParts = DeliveryParts &
  Readonly<{
    jails: readonly WatchedJail[];
    log: Logger;
    /** Told of every part of a log file that is read, before it is looked at. */
    onRead?: (bytes: number) => void;
  }>;

export type LogWatch = AsyncDisposable &
  Readonly<{
    tail: FileTail;
    /** Sentences about logs that cannot be read and regexes that were stopped. */
    problems(): readonly string[];
  }>;

/** Follows the logs and the journal of all jails: through the filters, into the jails, and on to the coordinator. */
export function watchLogs(parts: LogWatchParts): LogWatch {
  const suspended = new Set<string>();
  const report = (trouble: Trouble): void => {
    if (trouble.kind === "suspended")
      suspended.add(`${trouble.filter}: ${trouble.place} took too long and is off for ${trouble.lines} lines`);
    parts.log.error({ ...trouble, event: `line_${trouble.kind}` }, "a regex took too long");
  };
  const delivery = new Delivery(parts);
  const { tail, stretches } = followFiles(parts, delivery, report);
  const journals = followJournals(parts, delivery, report);
  return {
    tail,
    problems() {
      const files = tail.status().flatMap(({ path, problem }) => (problem === null ? [] : [`${path}: ${problem}`]));
      const unread = [...journals].flatMap(([source, journal]) => {
        const problem = journal.problem();
        return problem === null ? [] : [`${source}: ${problem}`];
      });
      return [...files, ...unread, ...suspended];
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([tail, ...journals.values()].map((each) => each[Symbol.asyncDispose]()));
      await stretches.flush();
    },
  };
}

function followFiles(
  { jails, log, now, onRead }: LogWatchParts,
  delivery: Delivery,
  report: (trouble: Trouble) => void,
): Readonly<{ tail: FileTail; stretches: Pick<StretchSearch<Stretch>, "flush"> }> {
  const readers = jails.filter(({ settings }) => settings.source === "file");
  const lines = new LogLines(readers, report);
  const onError = (path: string, err: unknown) =>
    log.error({ path, err, event: "log_chunk_failed" }, "lost a part of a log to an error of our own");
  const stretches = new StretchSearch<Stretch>({
    find({ lines: bytes, globs, live, path: source, previous, position, seen }) {
      const clock = { nowMs: now(), mode: live ? "live" : "any", findTimeMs: 0 } as const;
      const judgement = delivery.judge(seen);
      try {
        lines.find(bytes, globs, clock, (watched, found) => judgement.add(watched, found));
      } catch (error) {
        // Who was banned before the error must be in the firewall all the same.
        onError(source, error);
      }
      return { source, previous, position, judgement };
    },
    take: (stretch) => delivery.take(stretch),
    onError,
  });
  const tail = openFileTail({
    globs: uniqueGlobs(readers),
    saved: delivery.saved,
    onChunk: (chunk) => {
      onRead?.(chunk.lines.length);
      return stretches.add(chunk);
    },
    log,
    nowMs: now,
  });
  return { tail, stretches };
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
