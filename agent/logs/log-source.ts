import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip, type Gunzip } from "node:zlib";

const compressedPieceBytes = 16_384;

/** The bytes of one log file, whatever its name is by now: the open descriptor outlives a rename. */
export type LogSource = Readonly<{
  device: number;
  inode: number;
  /** False for a compressed file: it is complete, and its start does not change. */
  grows: boolean;
  /** Fills `into` from byte `at` (of the uncompressed log) as far as the file goes. */
  read(into: Uint8Array, at: number): number | Promise<number>;
  /** Bytes now; only for a file that grows. */
  size(): number;
  close(): void;
}>;

/**
 * Opens a log for reading; `.gz` is uncompressed on the way.
 *
 * @throws the system's error (`ENOENT`, `EACCES` …), and one with code `EINVAL` for what is not a regular file
 */
export function openLogSource(path: string): LogSource {
  // Without O_NONBLOCK, opening a pipe that lies in the log directory would hang the agent.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    const identity = { device: stat.dev, inode: stat.ino };
    if (!stat.isFile()) throw Object.assign(new Error(`${path} is not a regular file`), { code: "EINVAL" });
    return { ...identity, ...(path.endsWith(".gz") ? compressedSource(descriptor) : plainSource(descriptor)) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Reads are synchronous: a log's new bytes are in memory, where a read costs less than asking a thread for it. */
function plainSource(descriptor: number): Omit<LogSource, "device" | "inode"> {
  return {
    grows: true,
    read: (into, at) => readFully(descriptor, into, at),
    size: () => fstatSync(descriptor).size,
    close: () => closeSync(descriptor),
  };
}

function readFully(descriptor: number, into: Uint8Array, at: number): number {
  let filled = 0;
  while (filled < into.length) {
    const bytes = readSync(descriptor, into, filled, into.length - filled, at + filled);
    if (bytes === 0) break;
    filled += bytes;
  }
  return filled;
}

/** Uncompresses forwards, a piece at a time; going back starts over. */
function compressedSource(descriptor: number): Omit<LogSource, "device" | "inode"> {
  let gunzip: Gunzip | undefined;
  let pieces: AsyncIterator<Buffer> | undefined;
  let piece: Buffer = Buffer.alloc(0);
  let pieceAt = 0;

  const restart = (): AsyncIterator<Buffer> => {
    gunzip?.destroy();
    gunzip = createGunzip();
    // An error reaches whoever awaits the next piece.
    pipeline(Readable.from(compressedPieces(descriptor)), gunzip, () => {});
    piece = Buffer.alloc(0);
    pieceAt = 0;
    return gunzip[Symbol.asyncIterator]();
  };

  return {
    grows: false,
    read: async (into, at) => {
      if (pieces === undefined || at < pieceAt) pieces = restart();
      let filled = 0;
      while (filled < into.length) {
        const from = at + filled - pieceAt;
        if (from < piece.length) {
          filled += piece.copy(into, filled, from);
          continue;
        }
        const next = await pieces.next();
        if (next.done === true) break;
        pieceAt += piece.length;
        piece = next.value;
      }
      return filled;
    },
    size: () => 0,
    close: () => {
      gunzip?.destroy();
      closeSync(descriptor);
    },
  };
}

/** Without a thread, so no read can be under way when the descriptor is closed and its number given to another file. */
function* compressedPieces(descriptor: number): Generator<Buffer> {
  for (let at = 0; ; ) {
    const bytes = Buffer.allocUnsafe(compressedPieceBytes);
    const length = readSync(descriptor, bytes, 0, bytes.length, at);
    if (length === 0) return;
    at += length;
    yield bytes.subarray(0, length);
  }
}
