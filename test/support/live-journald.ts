import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { waitFor } from "./wait-for.ts";

const daemon = "/lib/systemd/systemd-journald";

/** Why there can be no journald of one's own here; undefined = there can. */
export const withoutJournald =
  process.getuid?.() !== 0
    ? "needs root for a mount namespace"
    : [daemon, "/usr/bin/nsenter", "/usr/bin/unshare", "/usr/bin/logger"].every((file) => existsSync(file))
      ? undefined
      : "systemd-journald or logger is not installed";

/** The machine's own /run stays as it is: a private one, and a machine id where the image has none. */
const prepare = `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/systemd/journald@fleet.conf.d /run/log/journal
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nForwardToSyslog=no\\nForwardToWall=no\\nRateLimitBurst=0\\n' \
  | tee /run/systemd/journald.conf.d/test.conf > /run/systemd/journald@fleet.conf.d/test.conf
echo 0123456789abcdef0123456789abcdef > /run/machine-id
[ -e /etc/machine-id ] && mount --bind /run/machine-id /etc/machine-id
echo ready
exec cat`;

/** The journal namespace that may be started beside the system's own journal: what a service with `LogNamespace=fleet` uses. */
export const journalNamespace = "fleet";
type Journal = "system" | typeof journalNamespace;

/** A real systemd-journald, in a mount namespace with a /run of its own. */
export type LiveJournald = AsyncDisposable &
  Readonly<{
    /** Words before a command that is to see this journal. */
    prefix: readonly string[];
    start(journal?: Journal): Promise<void>;
    /** Of the system's journal. */
    stop(signal: NodeJS.Signals): Promise<void>;
    /** Moves to a new journal file, as a full one makes it do. */
    rotate(): Promise<void>;
    log(identifier: string, message: string, journal?: Journal): void;
  }>;

export async function openLiveJournald(): Promise<LiveJournald> {
  const holder = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", prepare], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  // Entering the namespace would change to its root.
  const prefix = ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`, `--wd=${process.cwd()}`, "--"];
  const run = (...command: string[]) => execFileSync("nsenter", [...prefix.slice(1), ...command], { encoding: "utf8" });
  const socketOf = (journal: Journal) =>
    journal === "system" ? "/run/systemd/journal/dev-log" : `/run/systemd/journal.${journal}/dev-log`;
  const files = () => run("sh", "-c", "ls /run/log/journal/*").split("\n").length;
  const running = new Map<Journal, ChildProcess>();
  const stop = async (signal: NodeJS.Signals, journal: Journal = "system") => {
    const journald = running.get(journal);
    if (journald === undefined || journald.exitCode !== null || journald.signalCode !== null) return;
    const ended = once(journald, "exit");
    journald.kill(signal);
    await ended;
  };
  return {
    prefix,
    async start(journal = "system") {
      const socket = socketOf(journal);
      // What a killed one left: the new one makes its own.
      run("rm", "-f", socket);
      const words = journal === "system" ? [daemon] : [daemon, journal];
      running.set(journal, spawn("nsenter", [...prefix.slice(1), ...words], { stdio: "ignore" }));
      await waitFor(
        () => run("sh", "-c", `[ -S ${socket} ] && echo yes || true`).includes("yes"),
        "journald to listen",
      );
    },
    stop: (signal) => stop(signal),
    async rotate() {
      const before = files();
      running.get("system")?.kill("SIGUSR2");
      await waitFor(() => files() > before, "journald to begin a new file");
    },
    log(identifier, message, journal = "system") {
      run("logger", "--socket", socketOf(journal), "--tag", identifier, "--id=77", "--priority", "auth.info", message);
    },
    async [Symbol.asyncDispose]() {
      for (const journal of running.keys()) await stop("SIGTERM", journal);
      holder.stdin.end();
      await once(holder, "exit");
    },
  };
}
