import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { secondMs } from "../../shared/durations.ts";
import type { ShellCommand } from "./fill-tags.ts";

export type ShellResult = Readonly<{
  ok: boolean;
  /** How it ended, for a person: `exit 1`, `timed out after 60 s`. */
  ending: string;
  /** The start of what it printed. */
  output: string;
}>;

/** Runs one command of an action and waits for its end. Never throws. */
export type RunShell = (command: ShellCommand, timeoutMs: number, signal: AbortSignal) => Promise<ShellResult>;

/** Printed text that is kept: it goes into one log line. */
const outputLengthMax = 2000;
/** Between the polite end of a command and the forced one. */
const killAfterMs = secondMs;
/** A command's children may hold its output open after its end; nobody waits for them. */
const lastOutputMs = 200;
/** Ours, and of no use to a command: what starts other Node programs, talks to systemd, or holds credentials. */
const keptBack = /^(?:NODE_|NOTIFY_SOCKET$|WATCHDOG_|LISTEN_|CREDENTIALS_DIRECTORY$|FLEET2BAN_)/;

/** `/bin/sh -c`, as fail2ban; the ban's facts arrive as variables, and the agent's network capability does not. */
export const runShell: RunShell = (command, timeoutMs, signal) =>
  new Promise((resolve) => {
    const [program = "", ...args] = [...withoutCapabilities(), "/bin/sh", "-c", command.text];
    const env = { ...environment(), ...command.variables };
    let child: ChildProcess;
    try {
      // A process group of its own, so that what the shell started ends with it.
      child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], env, cwd: "/" });
    } catch (error) {
      resolve({ ok: false, ending: `could not be started: ${String(error)}`, output: "" });
      return;
    }
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        if (output.length < outputLengthMax) output += text.slice(0, outputLengthMax - output.length);
      });
    }
    let stopped: string | undefined;
    const stop = (why: string) => {
      stopped ??= why;
      endGroup(child, "SIGTERM");
      setTimeout(() => endGroup(child, "SIGKILL"), killAfterMs).unref();
    };
    const timer = setTimeout(() => stop(`timed out after ${timeoutMs / secondMs} s`), timeoutMs);
    const onAbort = () => stop("stopped with the agent");
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const finish = (ok: boolean, ending: string) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({ ok: ok && stopped === undefined, ending: stopped ?? ending, output: output.trim() });
    };
    child.on("error", (error) => finish(false, `could not be started: ${error.message}`));
    child.on("exit", (code, name) => {
      const end = () => finish(code === 0, code === null ? `ended by ${name}` : `exit ${code}`);
      const late = setTimeout(end, lastOutputMs);
      child.once("close", () => {
        clearTimeout(late);
        end();
      });
    });
  });

function endGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // All of it has ended by itself.
  }
}

function environment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !keptBack.test(name)));
}

let prefix: readonly string[] | undefined;

/**
 * The agent's service may change the firewall without being root, through an ambient capability that every child
 * would inherit. A mail needs no such power; an action that does belongs under an agent that runs as root.
 */
function withoutCapabilities(): readonly string[] {
  prefix ??= hasAmbientCapabilities() ? ["setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--"] : [];
  return prefix;
}

function hasAmbientCapabilities(): boolean {
  try {
    return /^CapAmb:\s*0*[1-9a-f]/m.test(readFileSync("/proc/self/status", "utf8"));
  } catch {
    return false;
  }
}
