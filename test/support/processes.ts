import { readdirSync, readFileSync } from "node:fs";

/** Command lines of running processes that name this folder. */
export function processesWith(folder: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return command.includes(folder) ? [command] : [];
    } catch {
      // It ended while we looked.
      return [];
    }
  });
}
