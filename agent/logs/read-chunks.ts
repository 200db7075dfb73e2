import { type FileMark, hashOf, headBytesMax, tailBytesMax } from "./file-identity.ts";
import type { LogSource } from "./log-source.ts";

/** Bytes given out at once, and of the longest line: enough for any real line, little enough to hold for every log. */
export const chunkBytesMax = 65_536;
/** A buffer for `readChunk`: a chunk, and before it the bytes that prove that the file is still the same. */
export const readBufferBytes = chunkBytesMax + tailBytesMax;

const newline = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

/** Reading of one file; owned and changed by `readChunk` alone. */
export type FileReading = {
  readonly source: LogSource;
  head: string;
  headBytes: number;
  offset: number;
  /** The bytes before `offset`: another file in the same place is recognised by them with the read itself. */
  tail: Buffer;
  inLongLine: boolean;
  /** Lines before it were counted in an earlier life. */
  seenUntil: number;
};

export type ReadResult =
  | Readonly<{ kind: "lines"; lines: Buffer; cut: boolean; seen: boolean }>
  /** Something that is no line was passed over; read on. */
  | Readonly<{ kind: "skipped"; nulBytes: number }>
  /** No complete line more, for now. */
  | Readonly<{ kind: "end" }>
  /** The file was truncated, or other content took its place. */
  | Readonly<{ kind: "replaced" }>;

/** Begins at a mark that was recognised in this file, or at the start. */
export async function beginReading(source: LogSource, mark: FileMark | undefined): Promise<FileReading> {
  const empty = { source, head: "", headBytes: 0, offset: 0, tail: Buffer.alloc(0), inLongLine: false, seenUntil: 0 };
  if (mark === undefined) return empty;
  const tail = Buffer.alloc(mark.tailBytes);
  await source.read(tail, mark.offset - mark.tailBytes);
  const { head, headBytes, offset, inLongLine } = mark;
  return { ...empty, head, headBytes, offset, inLongLine, tail };
}

/** Moves a reading that has not begun to the end of the file: to the start of its last, unfinished line if it has one. */
export async function skipToEnd(reading: FileReading): Promise<void> {
  const { source } = reading;
  const size = source.size();
  const first = Buffer.alloc(Math.min(headBytesMax, size));
  const last = Buffer.alloc(Math.min(chunkBytesMax, size));
  await source.read(first, 0);
  await source.read(last, size - last.length);
  const end = last.lastIndexOf(newline) + 1;
  if (end === 0) {
    reading.inLongLine = last.length === chunkBytesMax;
    if (!reading.inLongLine) return;
  }
  remember(reading, first, last.subarray(0, end === 0 ? last.length : end), size - last.length);
}

export function markOf(reading: FileReading): FileMark {
  const { source, head, headBytes, offset, tail, inLongLine } = reading;
  const { device, inode } = source;
  return { device, inode, head, headBytes, offset, tail: hashOf(tail), tailBytes: tail.length, inLongLine };
}

/**
 * The next complete lines, at most `chunkBytesMax` bytes, in `buffer` (of `readBufferBytes`); CRLF becomes LF there.
 *
 * A line without its newline is not read: it may still grow, and half an address is another address. A line longer
 * than a chunk comes cut (at a space, for the same reason), its rest is skipped. NUL bytes at a line's start are
 * skipped: holes that a crash, or a writer that does not append, left behind.
 */
export async function readChunk(reading: FileReading, buffer: Buffer): Promise<ReadResult> {
  const { source, offset, tail } = reading;
  const checked = source.grows ? tail.length : 0;
  const pending = source.read(buffer.subarray(0, checked + chunkBytesMax), offset - checked);
  const bytes = typeof pending === "number" ? pending : await pending;
  if (bytes < checked || buffer.compare(tail, 0, checked, 0, checked) !== 0) return { kind: "replaced" };
  const data = buffer.subarray(checked, bytes);
  const full = data.length === chunkBytesMax;

  if (reading.inLongLine) {
    const end = data.indexOf(newline);
    if (end >= 0) reading.inLongLine = false;
    return skip(reading, end < 0 ? data : data.subarray(0, end + 1), 0);
  }
  if (data[0] === 0) {
    const text = data.findIndex((byte) => byte !== 0);
    if (text < 0 && !full) return { kind: "end" };
    const nulBytes = text < 0 ? data.length : text;
    return skip(reading, data.subarray(0, nulBytes), nulBytes);
  }
  const seen = offset < reading.seenUntil;
  const seenEnd = seen ? data.lastIndexOf(newline, reading.seenUntil - offset - 1) : -1;
  const end = seenEnd >= 0 ? seenEnd : data.lastIndexOf(newline);
  if (end >= 0) {
    const lines = data.subarray(0, end + 1);
    remember(reading, lines, lines, offset);
    return { kind: "lines", lines: withoutCarriageReturns(lines), cut: false, seen };
  }
  if (!full) return { kind: "end" };
  remember(reading, data, data, offset);
  reading.inLongLine = true;
  const lastSpace = data.lastIndexOf(space);
  const lines = data.subarray(0, lastSpace > 0 ? lastSpace + 1 : data.length);
  lines[lines.length - 1] = newline;
  return { kind: "lines", lines, cut: true, seen };
}

function skip(reading: FileReading, bytes: Buffer, nulBytes: number): ReadResult {
  if (bytes.length === 0) return { kind: "end" };
  remember(reading, bytes, bytes, reading.offset);
  return { kind: "skipped", nulBytes };
}

/** Moves behind `passed`, which begins at byte `at`; `start` is the file's start when nothing was passed before. */
function remember(reading: FileReading, start: Buffer, passed: Buffer, at: number): void {
  if (reading.headBytes === 0) {
    const end = start.indexOf(newline);
    const head = start.subarray(0, Math.min(end < 0 ? start.length : end + 1, headBytesMax));
    reading.head = hashOf(head);
    reading.headBytes = head.length;
  }
  reading.offset = at + passed.length;
  const tail = passed.length < tailBytesMax ? Buffer.concat([reading.tail, passed]) : passed;
  reading.tail = Buffer.from(tail.subarray(-tailBytesMax));
}

function withoutCarriageReturns(lines: Buffer): Buffer {
  const first = lines.indexOf("\r\n");
  if (first < 0) return lines;
  let to = first;
  for (let from = first; from < lines.length; from += 1) {
    const byte = lines[from] ?? 0;
    if (byte === carriageReturn && lines[from + 1] === newline) continue;
    lines[to] = byte;
    to += 1;
  }
  return lines.subarray(0, to);
}
