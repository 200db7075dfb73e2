import { hash } from "node:crypto";
import * as shape from "../../shared/shape.ts";
import type { LogSource } from "./log-source.ts";

/**
 * Where reading of one file stands, and how to find that file again under another name.
 *
 * An inode alone does not name a log: copytruncate keeps it and the file system gives it out again. So the content
 * decides: the first line, and the bytes just before the offset. Both are kept as hashes, because a log's text belongs
 * in the log. The inode only breaks ties, and names a file that has no line yet.
 */
const FileMark = shape
  .object({
    device: shape.number(),
    inode: shape.number(),
    /** Hash of the first `headBytes` bytes: the first line. 0 bytes: no line was there yet. */
    head: shape.string(),
    headBytes: shape.int().check(shape.nonnegative()),
    /** The next byte to read: always the start of a line, unless `inLongLine`. */
    offset: shape.int().check(shape.nonnegative()),
    /** Hash of the `tailBytes` bytes before `offset`. */
    tail: shape.string(),
    tailBytes: shape.int().check(shape.nonnegative()),
    /** The rest of a line that was too long is skipped up to its newline. */
    inLongLine: shape.boolean(),
  })
  .check(shape.refine((mark) => mark.tailBytes <= mark.offset, "tail before the start"));
export type FileMark = Readonly<shape.infer<typeof FileMark>>;

/**
 * Where reading of one log stands; JSON, to be kept by the caller and given back unread. Mostly one mark; while a
 * rotated file is still drained there are two, oldest first. Files newer than the last mark are unread.
 */
export type FilePosition = readonly FileMark[];

const FilePosition = shape.array(FileMark).check(shape.minLength(1), shape.maxLength(64));

/** A position as it comes back from a store; undefined when it is none. */
export function parseFilePosition(value: unknown): FilePosition | undefined {
  return FilePosition.safeParse(value).data;
}

/** A first line is told apart by its date, which stands at its start. */
export const headBytesMax = 1024;
/** Enough for a date and some text: two lines that end alike at the same offset after the same first line do not happen. */
export const tailBytesMax = 64;

export function hashOf(bytes: Uint8Array): string {
  return hash("sha1", bytes, "base64url");
}

/**
 * Whether `source` holds the content the mark was made in, as its start.
 *
 * @returns `same file` also has the inode; `same content` is a copy (copytruncate) or was compressed
 */
export async function recognise(source: LogSource, mark: FileMark): Promise<"same file" | "same content" | "other"> {
  const sameInode = source.device === mark.device && source.inode === mark.inode;
  if (mark.headBytes === 0) return sameInode ? "same file" : "other";
  if ((await hashAt(source, 0, mark.headBytes)) !== mark.head) return "other";
  if ((await hashAt(source, mark.offset - mark.tailBytes, mark.tailBytes)) !== mark.tail) return "other";
  return sameInode ? "same file" : "same content";
}

async function hashAt(source: LogSource, at: number, length: number): Promise<string | undefined> {
  const bytes = Buffer.alloc(Math.min(length, headBytesMax));
  return (await source.read(bytes, at)) === length ? hashOf(bytes) : undefined;
}
