import { chownSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * What root writes into a directory of the service's user belongs to that user; otherwise `enroll` and `import`, typed
 * by root, would leave files that the service cannot open.
 */
export function giveToOwner(file: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(file));
  if (uid !== 0) chownSync(file, uid, gid);
}
