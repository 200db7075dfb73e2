import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fleet2banError } from "../../shared/errors.ts";

/** How long a fast shutdown (SIGINT) may take before we insist (SIGQUIT, then crash recovery at the next start). */
const fastShutdownMs = 6_000;
/** How long after SIGQUIT until SIGKILL. Together less than the 10 s in which every program ends. */
const immediateShutdownMs = 2_000;
const pollMs = 20;

/** A process id alone may be taken over by a stranger; with its start time it names one process. */
type Owner = Readonly<{ pid: number; startTicks: string }>;

/** Writes down that this process owns the PostgreSQL in `folder`. */
export function claim(folder: string): void {
  const owner: Owner = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? "" };
  writeFileSync(join(folder, "owner.json"), JSON.stringify(owner), { mode: 0o600 });
}

export function disclaim(folder: string): void {
  rmSync(join(folder, "owner.json"), { force: true });
}

/**
 * Ends a PostgreSQL that a killed coordinator left running in `clusterDir`, so that it can be started as our own child.
 *
 * @returns the process id it had, undefined when none was running
 * @throws Fleet2banError `conflict` when the coordinator that started it still lives
 */
export async function stopOrphan(folder: string, clusterDir: string): Promise<number | undefined> {
  const pid = runningIn(clusterDir);
  if (pid === undefined) return undefined;
  const owner = readOwner(folder);
  if (owner !== undefined && owner.startTicks !== "" && startTicksOf(owner.pid) === owner.startTicks) {
    throw new Fleet2banError(
      "conflict",
      `${folder}: the coordinator with process id ${owner.pid} is using this data directory; stop it, or choose another --data-dir`,
    );
  }
  await endPostgres(pid, () => startTicksOf(pid) !== undefined);
  return pid;
}

/** Asks politely, then less so, until `isAlive` says no. */
export async function endPostgres(pid: number, isAlive: () => boolean): Promise<void> {
  for (const [signal, patienceMs] of [
    ["SIGINT", fastShutdownMs],
    ["SIGQUIT", immediateShutdownMs],
    ["SIGKILL", immediateShutdownMs],
  ] as const) {
    if (!isAlive()) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadline = performance.now() + patienceMs;
    while (isAlive() && performance.now() < deadline) await sleep(pollMs);
  }
}

/** The postmaster of this cluster, when the one its pid file names is really running it. */
function runningIn(clusterDir: string): number | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(join(clusterDir, "postmaster.pid"), "utf8").split("\n")[0]);
    // A left-over file may name a stranger's process: it must be running with our directory to be ours.
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(clusterDir) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function readOwner(folder: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, "owner.json"), "utf8"));
    if (typeof value !== "object" || value === null || !("pid" in value) || !("startTicks" in value)) return undefined;
    return { pid: Number(value.pid), startTicks: String(value.startTicks) };
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat; undefined when no such process lives (a zombie does not). Source: proc_pid_stat(5). */
function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
