import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fleet2banError } from "../../shared/errors.ts";

/** 10 000 connections take 2.4 s to close; more than this and something hangs. */
const stopTimeoutMs = 5_000;
const pollMs = 20;

/**
 * Ends the nats-server that a killed coordinator left in `dir`. It is not adopted: what it says goes to a pipe nobody
 * reads any more, and agents come back to a new one within a second.
 *
 * @returns its process id, undefined when there was none
 * @throws Fleet2banError `conflict` when the coordinator that started it still lives
 */
export async function stopNatsOrphan(dir: string): Promise<number | undefined> {
  const pid = Number(readText(join(dir, "nats.pid")));
  // A left-over pid file may name a stranger's process by now: ours was started with our configuration file.
  if (!(pid > 1) || !commandLineOf(pid).includes(join(dir, "nats.conf"))) return undefined;
  const owner = Number(readText(join(dir, "owner")));
  if (owner > 1 && owner !== process.pid && parentOf(pid) === owner) {
    throw new Fleet2banError(
      "conflict",
      `${dir}: the coordinator with process id ${owner} is using this data directory; stop it, or choose another --data-dir`,
    );
  }
  await endProcess(pid, () => commandLineOf(pid).length > 0);
  return pid;
}

/** Ends our own child, politely and then not, and waits until it is gone. */
export async function endNats(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  await endProcess(child.pid, () => child.exitCode === null && child.signalCode === null);
}

async function endProcess(pid: number, lives: () => boolean): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!lives()) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadlineMs = performance.now() + stopTimeoutMs;
    while (lives() && performance.now() < deadlineMs) await sleep(pollMs);
  }
}

/** Empty for a process that is gone, or is only waiting for its parent to notice. */
function commandLineOf(pid: number): readonly string[] {
  return readText(`/proc/${pid}/cmdline`).split("\0").filter(Boolean);
}

/** Field 4 of /proc/PID/stat. A process whose parent died has another one. Source: proc_pid_stat(5). */
function parentOf(pid: number): number {
  const stat = readText(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
