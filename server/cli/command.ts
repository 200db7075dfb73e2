import type { CommandHelp, Parsed } from "../../shared/command-line.ts";
import type { ApiClient } from "./api-client.ts";

/** One command: its help, and what it prints for people; `--json` prints `values` one per line instead. */
export type Command = Readonly<{
  help: CommandHelp;
  run(api: ApiClient, line: Parsed, nowMs: number): Promise<Answer>;
}>;
export type Answer = Readonly<{ values: readonly unknown[]; text: string }>;

export const help = (
  usage: string,
  about: string,
  options: CommandHelp["options"],
  positionals: [number, number],
): CommandHelp => ({
  usage: `fleet2ban ${usage}`,
  about,
  options,
  positionals,
});

/** Bans, rules and tokens are named by number; everything else a person types is a name or a network. */
export const isId = (text: string) => /^\d{1,15}$/.test(text);
