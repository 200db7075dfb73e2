import type { Trouble } from "../filters/watchdog.ts";
import type { Logger } from "../logger.ts";
import { type JournalBatch, type JournalTail, openJournalTail } from "../logs/tail-journal.ts";
import type { JournalPlace } from "../settings/jail-settings.ts";
import type { Delivery, DeliveryParts } from "./delivery.ts";
import { JournalLines } from "./journal-lines.ts";
import type { WatchedJail } from "./watched-jail.ts";

export type JournalParts = Pick<DeliveryParts, "now"> & Readonly<{ jails: readonly WatchedJail[]; log: Logger }>;

/** The system's journal among the sources of positions; a path begins with a slash. */
const systemSource = "journal";
const systemWords = ["--system"];

/**
 * Follows the journals that jails read, each through one reader for all its jails.
 *
 * @returns by source, as positions are kept
 */
export function followJournals(
  parts: JournalParts,
  delivery: Delivery,
  report: (trouble: Trouble) => void,
): ReadonlyMap<string, JournalTail> {
  const tails = new Map<string, JournalTail>();
  const places = parts.jails.flatMap(({ settings: { journal } }) => (journal === null ? [] : [journal]));
  for (const [source, place] of new Map(places.map((place) => [sourceOf(place), place]))) {
    const jails = parts.jails.filter(({ settings: { journal } }) => journal !== null && sourceOf(journal) === source);
    tails.set(source, follow(source, place, { ...parts, jails }, delivery, report));
  }
  return tails;
}

function follow(
  source: string,
  place: JournalPlace,
  { jails, log, now }: JournalParts,
  delivery: Delivery,
  report: (trouble: Trouble) => void,
): JournalTail {
  const lines = new JournalLines(jails, report);
  const longestMs = Math.max(...jails.map(({ settings }) => settings.findTimeMs));
  return openJournalTail({
    matchesByJail: new Map(jails.map(({ jail, settings }) => [jail.name, settings.journalMatches])),
    saved: delivery.saved.get(source),
    sinceMs: now() - longestMs,
    onBatch: ({ lines: batch, previous, position, live, seen }: JournalBatch) => {
      const judgement = delivery.judge(seen);
      lines.find(batch, now(), live, (watched, found) => judgement.add(watched, found));
      return delivery.take({ source, previous, position, judgement });
    },
    log,
    nowMs: now,
    command: ["journalctl", ...wordsFor(place)],
  });
}

/** What `journalctl` is told of a journal. */
export function wordsFor({ directory, files, namespace, types, merge }: JournalPlace): readonly string[] {
  return [
    ...types.map((type) => `--${type}`),
    ...(merge ? ["--merge"] : []),
    ...(directory === null ? [] : [`--directory=${directory}`]),
    ...files.map((file) => `--file=${file}`),
    ...(namespace === null ? [] : [`--namespace=${namespace}`]),
  ];
}

function sourceOf(place: JournalPlace): string {
  const words = wordsFor(place).join(" ");
  return words === systemWords.join(" ") ? systemSource : `${systemSource} ${words}`;
}
