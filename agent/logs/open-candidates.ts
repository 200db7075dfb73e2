import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type LogSource, openLogSource } from "./log-source.ts";
import { rotatedNames } from "./rotated-names.ts";

/** A file that may hold a part of a log. */
export type Candidate = Readonly<{ path: string; source: LogSource; isCurrent: boolean }>;

/**
 * The rotated files of a log, if wanted, and the current one, oldest first. A rotated file that cannot be opened cannot
 * be read, and is left out.
 *
 * @throws the system's error when the current file is there and cannot be opened
 */
export function openCandidates(path: string, withRotated: boolean): Candidate[] {
  const candidates: Candidate[] = [];
  for (const rotated of withRotated ? rotatedPaths(path) : []) {
    try {
      candidates.push({ path: rotated, source: openLogSource(rotated), isCurrent: false });
    } catch {}
  }
  try {
    candidates.push({ path, source: openLogSource(path), isCurrent: true });
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!isMissing) {
      for (const { source } of candidates) source.close();
      throw error;
    }
  }
  return candidates;
}

/** Whether the names still mean the files that were opened: no rotation came between. */
export function isUnchanged(path: string, candidates: readonly Candidate[]): boolean {
  const current = candidates.filter((each) => each.isCurrent).length;
  if (candidates.length > current && rotatedPaths(path).length !== candidates.length - current) return false;
  return candidates.every(({ path: opened, source }) => {
    const stat = statSync(opened, { throwIfNoEntry: false });
    return stat?.dev === source.device && stat.ino === source.inode;
  });
}

function rotatedPaths(path: string): string[] {
  try {
    return rotatedNames(basename(path), readdirSync(dirname(path))).map((name) => join(dirname(path), name));
  } catch {
    return [];
  }
}
