import { hash } from "node:crypto";
import { type FilePosition, hashOf, headBytesMax, tailBytesMax } from "./file-identity.ts";
import { openLogSource } from "./log-source.ts";
import { chunkBytesMax } from "./read-chunks.ts";

const newline = 0x0a;

/**
 * A place in a log as fail2ban noted it: a hash of the first line, with its newline, and a byte offset. The hash was
 * meant to be MD5, but under Python 3 it is SHA-1; older databases hold the other.
 *
 * @returns undefined when the file is another one by now, cannot be read, or the offset is not the start of a line
 */
export async function importedPosition(
  path: string,
  firstLineHash: string,
  offset: number,
): Promise<FilePosition | undefined> {
  let source: ReturnType<typeof openLogSource>;
  try {
    source = openLogSource(path);
  } catch {
    return undefined;
  }
  try {
    const start = Buffer.alloc(chunkBytesMax);
    const filled = await source.read(start, 0);
    const lineBytes = start.subarray(0, filled).indexOf(newline) + 1;
    const firstLine = start.subarray(0, lineBytes);
    if (lineBytes === 0 || hexHash(firstLine, firstLineHash.length) !== firstLineHash) return undefined;
    if (offset < lineBytes || offset > source.size()) return undefined;
    const tail = Buffer.alloc(Math.min(tailBytesMax, offset));
    await source.read(tail, offset - tail.length);
    if (tail.at(-1) !== newline) return undefined;
    const head = firstLine.subarray(0, headBytesMax);
    const content = { head: hashOf(head), headBytes: head.length, offset, tail: hashOf(tail), tailBytes: tail.length };
    return [{ device: source.device, inode: source.inode, ...content, inLongLine: false }];
  } finally {
    source.close();
  }
}

function hexHash(bytes: Uint8Array, digits: number): string {
  return hash(digits === 32 ? "md5" : "sha1", bytes, "hex");
}
