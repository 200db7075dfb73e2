import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { minuteMs } from "../../shared/durations.ts";
import type { FoundFailure } from "../filters/found-failure.ts";

/** As fail2ban's own limit for commands. */
const commandTimeoutMs = minuteMs;
/** What may stand in a command line as it is; everything else reaches the command through its environment only. */
const harmless = /^[\w.:/@-]*$/;

/**
 * Runs a jail's `ignorecommand`, which the host's own admin wrote, for one failure.
 *
 * @returns whether it says to spare the failure: exit 0. Any other end, also a broken command, does not spare.
 */
export async function runIgnoreCommand(command: string, found: FoundFailure): Promise<boolean> {
  const values = new Map<string, string>([
    ...found.data,
    ["ip", found.ip ?? found.id],
    ["fid", found.id],
    ["failures", String(found.count)],
    ["time", String(Math.floor(found.atMs / 1000))],
  ]);
  const env: Record<string, string | undefined> = { ...process.env };
  const line = command.replace(/<([A-Za-z][\w-]*)>/g, (tag, name: string) => {
    const value = values.get(name.replace(/^F-/, "").toLowerCase());
    if (value === undefined) return tag;
    if (harmless.test(value)) return value;
    const variable = `f2bV_${name.replaceAll("-", "_")}`;
    env[variable] = value;
    return `"$${variable}"`;
  });
  try {
    await promisify(execFile)("/bin/sh", ["-c", line], { timeout: commandTimeoutMs, env });
    return true;
  } catch {
    return false;
  }
}
