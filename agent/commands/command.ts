import type { CommandHelp, Parsed } from "../../shared/command-line.ts";

/** One word after `fleet2ban-agent`. Each lives in a file of its own that is loaded only when it is asked for. */
export type AgentCommand = Readonly<{
  help: CommandHelp;
  /** @returns the exit code */
  run(line: Parsed): Promise<number>;
}>;

/** The option every command has that needs the agent's own settings. */
export const configOption = {
  config: { value: "FILE", help: "agent.yaml (default /etc/fleet2ban/agent.yaml)" },
} as const;
export const jsonOption = { json: { help: "one JSON value per line, for programs" } } as const;
export const configDirOption = {
  "config-dir": {
    value: "DIR",
    help: "fail2ban configuration (default: agent.yaml's, else /etc/fail2ban, else the built-in library)",
  },
} as const;

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
