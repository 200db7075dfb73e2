import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export type CommandResult = Readonly<{
  /** null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}>;

/** Runs one program without a shell and waits for its end. A program that cannot be started is a code other than 0. */
export type RunCommand = (command: readonly string[], stdin?: string) => Promise<CommandResult>;

/** A hung tool must not stop bans for ever; a million elements take nft 8 s on a slow machine. */
const commandTimeoutMs = 60_000;
/** A listing of a million elements is 80 MB; nothing else we run prints more than a few kB. */
const outputBytesMax = 256 * 1024 * 1024;
const startFailedCode = 127;

/** @param prefix  words before every command, for example `ip netns exec NAME` */
export function commandRunner(prefix: readonly string[] = []): RunCommand {
  return (command, stdin = "") =>
    new Promise((resolve) => {
      const [program = "", ...args] = [...prefix, ...command];
      const child = spawn(program, args, {
        stdio: ["pipe", "pipe", "pipe"],
        // Messages are compared, so they must be in English.
        env: { ...process.env, LC_ALL: "C" },
      });
      // Our own, because the one of `spawn` runs on when the program could not be started.
      const timer = setTimeout(() => child.kill("SIGKILL"), commandTimeoutMs);
      const end = (result: CommandResult) => {
        clearTimeout(timer);
        resolve(result);
      };
      const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
      let bytes = 0;
      for (const name of ["stdout", "stderr"] as const) {
        child[name].on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > outputBytesMax) child.kill("SIGKILL");
          else output[name].push(chunk);
        });
      }
      child.on("error", (error) => end({ code: startFailedCode, stdout: "", stderr: error.message }));
      child.on("close", (code) => {
        const [stdout, stderr] = [output.stdout, output.stderr].map((chunks) => Buffer.concat(chunks).toString());
        end({ code, stdout: stdout ?? "", stderr: stderr ?? "" });
      });
      // A program that ends before it has read everything says why in its exit code, not here.
      child.stdin.on("error", () => undefined);
      child.stdin.end(stdin);
    });
}

/** Where a system tool is: services often run with a PATH without the sbin folders. Undefined when it is nowhere. */
export function findProgram(name: string, path: string = process.env.PATH ?? ""): string | undefined {
  for (const folder of ["/usr/sbin", "/sbin", "/usr/local/sbin", ...path.split(delimiter)]) {
    const file = join(folder, name);
    if (folder !== "" && canExecute(file)) return file;
  }
  return undefined;
}

function canExecute(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first line of what a tool said, short enough for a status line. */
export function firstLine(result: CommandResult): string {
  const text = result.stderr.trim() || result.stdout.trim();
  const line = text.split("\n", 1)[0] ?? "";
  return (line === "" ? `ended with code ${result.code}` : line).slice(0, 256);
}
