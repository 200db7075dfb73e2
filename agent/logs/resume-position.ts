import { type FileMark, type FilePosition, hashOf, headBytesMax, recognise } from "./file-identity.ts";
import type { LogSource } from "./log-source.ts";
import { type Candidate, isUnchanged, openCandidates } from "./open-candidates.ts";
import { beginReading, type FileReading, markOf } from "./read-chunks.ts";

/** A rotation may be under way while we look; it takes milliseconds, as looking does. */
const attemptsMax = 3;

export type Resumed = Readonly<{
  /** To be read in this order: rotated files first, last the one the path names, if there is one. */
  readings: readonly FileReading[];
  /** False when no file holds the saved place any more: lines may be lost. */
  found: boolean;
}>;

type Found = Readonly<{ index: number; sameFile: boolean }>;

/**
 * Finds what is unread of a log since `position`, whatever rotation did meanwhile: the file may have another name, be
 * a copy, be compressed; newer files may lie between it and the current one.
 *
 * `seen` marks the lines that were counted in an earlier life. `held` are readings that are still open and not in
 * `position`; they go on, and their file is not opened again, under whatever name or compressed.
 *
 * @throws the system's error when the current file is there and cannot be opened
 */
export async function resume(
  path: string,
  position: FilePosition,
  seen: FilePosition,
  held: readonly FileReading[] = [],
): Promise<Resumed> {
  for (let attempt = 1; ; attempt += 1) {
    const candidates = openCandidates(path, position.length + held.length > 0);
    const opened = new Set<FileReading>();
    try {
      const resumed = await arrange(candidates, position, seen, held, opened);
      const isSettled = resumed.found && isUnchanged(path, candidates);
      if (isSettled || attempt === attemptsMax) return resumed;
      opened.clear();
    } finally {
      const used = new Set([...opened].map((each) => each.source));
      for (const { source } of candidates) if (!used.has(source)) source.close();
    }
  }
}

async function arrange(
  candidates: readonly Candidate[],
  position: FilePosition,
  seen: FilePosition,
  held: readonly FileReading[],
  opened: Set<FileReading>,
): Promise<Resumed> {
  const begins = await locate(candidates, position);
  const seenEnds = await locate(candidates, seen);
  const goingOn = await locateHeld(candidates, held);
  // Everything before the newest place was read; if that is lost, nothing but the current file is surely unread.
  const newestMark = position.at(-1);
  const newestHeld = [...goingOn].find(([, reading]) => reading === held.at(-1))?.[0];
  const newest = newestMark === undefined ? newestHeld : begins.get(newestMark)?.index;
  const newestSeen = Math.max(...indexes(seenEnds), -1);
  const named = new Set(goingOn.values());
  // Deleted, or moved to another directory; still being written perhaps.
  const readings: FileReading[] = held.filter((each) => !named.has(each));
  let found = newestMark === undefined || newest !== undefined;
  for (const [index, { source, isCurrent }] of candidates.entries()) {
    const mark = markFor(index, begins);
    const isUnread = isCurrent || (newest !== undefined && index > newest);
    const going = goingOn.get(index);
    if (going !== undefined) readings.push(going);
    if (going !== undefined || (mark === undefined && !isUnread)) continue;
    const reading = await beginReading(source, mark);
    if (mark !== undefined && hashOf(reading.tail) !== mark.tail) found = false;
    const seenMark = markFor(index, seenEnds);
    reading.seenUntil = seenMark?.offset ?? (index < newestSeen ? Number.POSITIVE_INFINITY : 0);
    opened.add(reading);
    readings.push(reading);
  }
  return { readings, found };
}

/** Marks of a position: the newest file, and older ones that a daemon may still write to. */
const marksMax = 4;

/**
 * Where these readings stand. Files without a line read are left out: an empty one has only its inode to be known by,
 * and files after the last mark are unread anyway. Only a log that never had a line needs it.
 */
export function positionOf(readings: readonly FileReading[]): FileMark[] {
  const begun = readings.filter((each) => each.offset > 0).slice(-marksMax);
  return (begun.length > 0 ? begun : readings.slice(-1)).map(markOf);
}

/** Where each mark was found; newest files first, because mostly nothing was rotated. */
async function locate(candidates: readonly Candidate[], marks: FilePosition): Promise<Map<FileMark, Found>> {
  const found = new Map<FileMark, Found>();
  for (const [index, { source }] of [...candidates.entries()].reverse()) {
    for (const mark of marks) {
      if (found.get(mark)?.sameFile === true) continue;
      const kind = await recogniseOrSkip(source, mark);
      if (kind === "other" || (kind === "same content" && found.has(mark))) continue;
      found.set(mark, { index, sameFile: kind === "same file" });
    }
    if (marks.every((mark) => found.get(mark)?.sameFile === true)) break;
  }
  return found;
}

/** Which candidates the held readings already read: by inode, or by content when the file has been compressed. */
async function locateHeld(
  candidates: readonly Candidate[],
  held: readonly FileReading[],
): Promise<Map<number, FileReading>> {
  const found = new Map<number, FileReading>();
  for (const reading of held) {
    const byInode = candidates.findIndex(({ source }) => isSameInode(source, reading.source));
    const index = byInode >= 0 ? byInode : indexes(await locate(candidates, [await contentMark(reading)]))[0];
    if (index !== undefined) found.set(index, reading);
  }
  return found;
}

/** As `markOf`; what was not begun is known by how it begins. */
async function contentMark(reading: FileReading): Promise<FileMark> {
  const mark = markOf(reading);
  if (mark.headBytes > 0) return mark;
  const start = Buffer.alloc(headBytesMax);
  const headBytes = await reading.source.read(start, 0);
  return { ...mark, head: hashOf(start.subarray(0, headBytes)), headBytes };
}

/** A file that cannot be read (a broken `.gz`) is not the one. */
async function recogniseOrSkip(source: LogSource, mark: FileMark): ReturnType<typeof recognise> {
  try {
    return await recognise(source, mark);
  } catch {
    return "other";
  }
}

function indexes(found: ReadonlyMap<FileMark, Found>): number[] {
  return [...found.values()].map((each) => each.index);
}

function markFor(index: number, found: ReadonlyMap<FileMark, Found>): FileMark | undefined {
  return [...found].find(([, each]) => each.index === index)?.[0];
}

function isSameInode(left: LogSource, right: LogSource): boolean {
  return left.device === right.device && left.inode === right.inode;
}
