/**
 * A subject's failures in one tenant as one flat array of numbers: a million subjects wait at a time, and objects
 * would take three times the memory. Slot 0 holds the date up to which failures are settled; then follow, by date,
 * entries of `stride` numbers.
 */
export type Entries = number[];

export const stride = 4;
const first = 1;
/** Offsets within an entry, after its date. `jail` is the jail's number times two, plus one when a fleet allow covered the address. */
const [host, jail, count] = [1, 2, 3] as const;

/** One failure, named by numbers. */
export type Entry = Readonly<{ atMs: number; host: number; jail: number; forFleet: boolean; count: number }>;

/** What a window holds. */
export type Tally = Readonly<{ failures: number; hosts: readonly number[]; oldestMs: number; newestMs: number }>;

export type Window = Readonly<{
  /** null = whatever the jail. */
  jail: number | null;
  spanMs: number;
  /** Failures dated up to here have had their answer. */
  settledMs: number;
  /** Leave out what a fleet allow covered. */
  onlyForFleet: boolean;
}>;

export function newEntries(settledMs: number, entry: Entry): Entries {
  return [settledMs, entry.atMs, entry.host, jailSlot(entry), entry.count];
}

export function newestMs(entries: Entries): number {
  return entries.length > first ? (entries[entries.length - stride] ?? 0) : Number.NEGATIVE_INFINITY;
}

/**
 * Puts an entry in its place by date; one of the same date, host and jail is added to. Drops entries dated before
 * `horizonMs`, and the oldest beyond `entriesMax`.
 *
 * @returns the array (a new one when that takes less memory) and the entry's index, or less than 0 when it was dropped
 */
export function insert(entries: Entries, entry: Entry, horizonMs: number, entriesMax: number): [Entries, number] {
  let start = first;
  while (start < entries.length && (entries[start] ?? 0) < horizonMs) start += stride;
  if (start > first) entries.splice(first, start - first);

  let index = entries.length;
  while (index > first && (entries[index - stride] ?? 0) > entry.atMs) index -= stride;
  const slot = jailSlot(entry);
  for (let same = index - stride; same >= first && entries[same] === entry.atMs; same -= stride) {
    if (entries[same + host] !== entry.host || entries[same + jail] !== slot) continue;
    entries[same + count] = (entries[same + count] ?? 0) + entry.count;
    return [entries, same];
  }
  const added = [entry.atMs, entry.host, slot, entry.count];
  if (index === entries.length) {
    // concat makes an array of exactly this length; push reserves room for sixteen more numbers than a subject
    // that is seen twice will ever need.
    if (entries.length < 4 * stride) entries = entries.concat(added);
    else entries.push(...added);
  } else {
    entries.splice(index, 0, ...added);
  }
  if (entries.length <= first + entriesMax * stride) return [entries, index];
  entries.splice(first, stride);
  return [entries, index - stride];
}

/** What counts of the entries dated from `fromMs` to the entry at `end`, included. */
export function tally(entries: Entries, end: number, fromMs: number, window: Window): Tally {
  const hosts: number[] = [];
  let failures = 0;
  let oldestMs = entries[end] ?? 0;
  for (let index = end; index >= first; index -= stride) {
    const atMs = entries[index] ?? 0;
    if (atMs < fromMs || atMs <= window.settledMs) break;
    if (!fits(entries, index, window)) continue;
    failures += entries[index + count] ?? 0;
    const hostNumber = entries[index + host] ?? 0;
    if (!hosts.includes(hostNumber)) hosts.push(hostNumber);
    oldestMs = atMs;
  }
  return { failures, hosts, oldestMs, newestMs: entries[end] ?? 0 };
}

/**
 * The first window, by its end, that holds the entry at `position` and is full. Late failures make it look forward
 * too: the same failures give the same incident in whatever order they come.
 */
export function fullWindow(
  entries: Entries,
  position: number,
  window: Window,
  isFull: (tally: Tally) => boolean,
): Tally | undefined {
  const atMs = entries[position] ?? 0;
  for (let end = position; end < entries.length; end += stride) {
    const endMs = entries[end] ?? 0;
    if (endMs - atMs > window.spanMs) return undefined;
    // A second ends with its last failure: they all belong to the evidence.
    if (entries[end + stride] === endMs) continue;
    const found = tally(entries, end, endMs - window.spanMs, window);
    if (isFull(found)) return found;
  }
  return undefined;
}

/** The numbers of the jails that have entries. */
export function jailsOf(entries: Entries): ReadonlySet<number> {
  const jails = new Set<number>();
  for (let index = first; index < entries.length; index += stride) jails.add((entries[index + jail] ?? 0) >> 1);
  return jails;
}

const jailSlot = (entry: Entry): number => entry.jail * 2 + (entry.forFleet ? 0 : 1);

function fits(entries: Entries, index: number, window: Window): boolean {
  const slot = entries[index + jail] ?? 0;
  if (window.onlyForFleet && slot % 2 === 1) return false;
  return window.jail === null || slot >> 1 === window.jail;
}
