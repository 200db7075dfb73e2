import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "./wait-for.ts";

/**
 * This machine once more, to install packages in: its files as they are, with changes kept in a folder of their own, in
 * a network of its own, without systemd. Nothing that happens inside is seen outside.
 */
export type ScratchMachine = AsyncDisposable &
  Readonly<{
    /** Words before a command that shall run inside, as root. */
    prefix: readonly string[];
    run(...command: readonly string[]): Readonly<{ code: number; stdout: string; stderr: string }>;
    /** The changed files: where a test looks or lays something down. */
    changes: string;
  }>;

/** Paths are safe in a shell: mkdtemp made them. The tmpfs is for machines whose disk is an overlay itself. */
const setUp = (folder: string) => `
set -e
cd ${folder}
mount -t overlay overlay -o lowerdir=/,upperdir=changes,workdir=work root 2>/dev/null || {
  mount -t tmpfs tmpfs ${folder} && cd ${folder} && mkdir changes work root
  mount -t overlay overlay -o lowerdir=/,upperdir=changes,workdir=work root
}
mount --rbind /proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/run
ip link set lo up
echo ready
exec sleep infinity`;

/** Why there can be no scratch machine here, for `skip`; false when there can. */
export async function scratchMachineMissing(...programs: readonly string[]): Promise<string | false> {
  if (process.getuid?.() !== 0) return "needs root to install packages in a scratch machine";
  for (const program of ["unshare", "nsenter", "ip", ...programs]) {
    const found = spawnSync("sh", ["-c", `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`]);
    if (found.status !== 0) return `needs the program ${program}`;
  }
  try {
    await using _machine = await openScratchMachine();
    return false;
  } catch (error) {
    return `needs mounts and namespaces: ${String(error).slice(0, 200)}`;
  }
}

export async function openScratchMachine(): Promise<ScratchMachine> {
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-machine-"));
  for (const name of ["changes", "work", "root"]) mkdirSync(join(folder, name));
  const holder = spawn("unshare", ["--mount", "--net", "sh", "-c", setUp(folder)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  const kill = () => holder.kill("SIGKILL");
  process.on("exit", kill);
  const dispose = async () => {
    process.off("exit", kill);
    await endOf(holder);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(holder);
  } catch (error) {
    await dispose();
    throw error;
  }
  const root = join(folder, "root");
  const path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  const prefix = ["nsenter", `--target=${holder.pid}`, "--mount", "--net", "chroot", root, "env", path, "LC_ALL=C"];
  return {
    prefix,
    changes: join("/proc", String(holder.pid), "root", folder, "changes"),
    run(...command) {
      const [program = "", ...args] = [...prefix, ...command];
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
      return { code: status ?? -1, stdout, stderr };
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function untilReady(holder: ChildProcess): Promise<void> {
  let said = "";
  for (const stream of [holder.stdout, holder.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  await waitFor(() => {
    if (holder.exitCode !== null) throw new Error(said);
    return said.includes("ready");
  }, "the scratch machine");
}

async function endOf(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = new Promise((resolve) => holder.once("close", resolve));
  holder.kill("SIGKILL");
  await ended;
}
