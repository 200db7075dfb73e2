import type { FilePosition } from "./file-identity.ts";

/** Complete lines of one log file, in the order they were written. */
export type LogChunk = Readonly<{
  path: string;
  /** The configured globs that lead to this file. */
  globs: readonly string[];
  /** At most 64 KiB, whole lines, each with its LF. Valid only until the receiver's promise is settled. */
  lines: Buffer;
  /** This is one line, cut at 64 KiB: what stands at its end was not its end. */
  cut: boolean;
  /** Before these lines, and after them. JSON; see `FileTail`. */
  previous: FilePosition;
  position: FilePosition;
  /** Written while we were watching; false while catching up, when a line's own time is all that is known of it. */
  live: boolean;
  /** This host's jails counted them before (they lie before the `seen` mark): for the coordinator only. */
  seen: boolean;
}>;

/** Counts since the tail was opened. */
export type TailCounts = {
  bytes: number;
  /** Lines longer than 64 KiB, passed on cut. */
  longLines: number;
  /** Unfinished last lines of rotated files, dropped: half an address is another address. */
  halfLines: number;
  nulBytes: number;
  /** Saved places that no file holds any more: lines may be lost. */
  lostPlaces: number;
};
