import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { waitFor } from "../support/wait-for.ts";

const unit = readFileSync(new URL("../../agent/packaging/fleet2ban-agent.service", import.meta.url), "utf8");
const environment = Object.fromEntries(
  [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
);
const nodeFlags = /^ExecStart=\S+\/node (.*?) \S+\.mjs/m.exec(unit)?.[1]?.split(" ") ?? [];

/** The built-in library, as it is installed. */
export const builtInDir = new URL("../../agent/settings/built-in", import.meta.url).pathname;

/** `fleet2ban-agent run` with Node's flags and environment as the systemd unit gives them. */
export function startInstalledAgent(program: string, config: string, prefix: readonly string[] = []) {
  const [command = "", ...words] = [...prefix, process.execPath, ...nodeFlags, program, "run", "--config", config];
  const child = spawn(command, words, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...environment } });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const hasStarted = () => {
    if (child.exitCode !== null) throw new Error(`the agent ended:\n${output}`);
    return output.includes('"event":"started"');
  };
  return { child, started: () => waitFor(hasStarted, "the agent to start", 60_000) };
}

export async function end(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
