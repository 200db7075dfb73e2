import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { createGunzip } from "node:zlib";

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
    const { dev: device, ino: inode, ...stat } = fstatSync(descriptor);
    if (!stat.isFile()) throw Object.assign(new Error(`${path} is not a regular file`), { code: "EINVAL" });
    if (path.endsWith(".gz")) return { device, inode, ...compressedSource(descriptor, path) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return plainSource(descriptor);
}

/** Reads are synchronous: a log's new bytes are in memory, where a read costs less than asking a thread for it. */
function plainSource(descriptor: number): LogSource {
  const { dev: device, ino: inode } = fstatSync(descriptor);
  return {
    device,
    inode,
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
function compressedSource(descriptor: number, path: string): Omit<LogSource, "device" | "inode"> {
  let pieces: AsyncIterator<Buffer> | undefined;
  let piece: Buffer = Buffer.alloc(0);
  let pieceAt = 0;

  const restart = (): void => {
    void pieces?.return?.();
    const gunzip = createGunzip();
    const file = createReadStream(path, { fd: descriptor, start: 0, autoClose: false });
    file.on("error", (error) => gunzip.destroy(error));
    pieces = file.pipe(gunzip)[Symbol.asyncIterator]();
    piece = Buffer.alloc(0);
    pieceAt = 0;
  };

  return {
    grows: false,
    read: async (into, at) => {
      if (pieces === undefined || at < pieceAt) restart();
      let filled = 0;
      while (filled < into.length) {
        const from = at + filled - pieceAt;
        if (from < piece.length) {
          filled += piece.copy(into, filled, from);
          continue;
        }
        const next = await pieces?.next();
        if (next === undefined || next.done === true) break;
        pieceAt += piece.length;
        piece = next.value;
      }
      return filled;
    },
    size: () => 0,
    close: () => {
      void pieces?.return?.();
      closeSync(descriptor);
    },
  };
}
