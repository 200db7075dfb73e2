import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { installedFile } from "./bundle.ts";
import { waitFor } from "./wait-for.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const quickResolve = new URL("../../scripts/quick-resolve.mjs", import.meta.url).href;
/** What tests start is removed in `exit` handlers, and a test file that took too long is ended with this signal. */
if (process.env.NODE_TEST_CONTEXT !== undefined) process.once("SIGTERM", () => process.exit(143));

/** One of our programs as a user runs it: a process of its own, with its output kept. */
export type Program = AsyncDisposable &
  Readonly<{
    pid: number;
    stdout(): string;
    stderr(): string;
    /** Resolves with the first line of standard output that matches. */
    line(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray>;
    signal(name: NodeJS.Signals): void;
    /** The exit code or signal when it has ended, undefined while it runs. */
    ending(): number | string | undefined;
    /** The exit code, or the signal's name. */
    ended: Promise<number | string>;
  }>;

export type ProgramOptions = Readonly<{
  /** Words before the command: `ip netns exec NAME`. */
  prefix?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Standard error is also written here, for whoever looks why a test failed. */
  errorLog?: string;
}>;

/** Starts `node FILE ARGS`; FILE relative to the repository, or its built form where there is one. Ended with SIGTERM, and SIGKILL when that takes too long. */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const main = installedFile(file);
  const hooks = main.endsWith(".ts") ? ["--import", quickResolve] : [];
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", ...hooks];
  const command = [...(options.prefix ?? []), ...node, main, ...args];
  const [name = "", ...rest] = command;
  const child: ChildProcess = spawn(name, rest, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    if (options.errorLog !== undefined) appendFileSync(options.errorLog, text);
  });
  const ended = new Promise<number | string>((resolve) => {
    child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  const pid = child.pid ?? 0;
  const ending = () => child.exitCode ?? child.signalCode ?? undefined;
  const signal = (signalName: NodeJS.Signals) => {
    if (ending() === undefined) child.kill(signalName);
  };
  // Nothing that a test started outlives it, however it ends.
  const kill = () => signal("SIGKILL");
  process.on("exit", kill);
  void ended.then(() => process.off("exit", kill));
  return {
    pid,
    ending,
    stdout: () => stdout,
    stderr: () => stderr,
    async line(pattern, deadlineMs = 60_000) {
      const found = () => {
        const match = pattern.exec(stdout);
        if (match !== null || ending() === undefined) return match ?? undefined;
        throw new Error(`${file} ended (${ending()}) before it said ${pattern}:\n${stderr.slice(-2000)}`);
      };
      return await waitFor(found, `${file} to say ${pattern}`, deadlineMs);
    },
    signal,
    ended,
    async [Symbol.asyncDispose]() {
      signal("SIGTERM");
      const timer = setTimeout(kill, 12_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Runs one of our programs to its end. */
export async function runProgram(file: string, args: readonly string[], options: ProgramOptions = {}) {
  const program = startProgram(file, args, options);
  const code = await program.ended;
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}
