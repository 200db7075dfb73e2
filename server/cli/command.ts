import type { CommandHelp, Parsed } from "../../shared/command-line.ts";
import type { ApiClient } from "./api-client.ts";
import type { Terminal } from "./terminal.ts";

/** One command: its help, and what it prints for people; `--json` prints `values` one per line instead. */
export type Command = Readonly<{
  help: CommandHelp;
  /** The words that may follow it, for the shell's completion. */
  words?: readonly string[];
  run(api: ApiClient, line: Parsed, nowMs: number, terminal: Terminal): Promise<Answer>;
}>;
export type Answer = Readonly<{
  values: readonly unknown[];
  text: string;
  /** A file that goes to standard output as it comes, also with `--json`. */
  file?: AsyncIterable<string>;
  /** What was asked for is not as it should be: the program ends with 1. */
  isBad?: boolean;
}>;

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

export const yes: CommandHelp["options"] = { yes: { help: "do not ask before something wide", short: "y" } };
export const dryRun: CommandHelp["options"] = { "dry-run": { help: "only say what would happen" } };

export const paging: CommandHelp["options"] = {
  limit: { value: "N", help: "rows (default 100)" },
  cursor: { value: "TEXT", help: "go on where a page ended" },
};

export function moreOf(next: string | null): string {
  return next === null ? "" : `more: add --cursor ${next}\n`;
}

/** Bans, rules and tokens are named by number; everything else a person types is a name or a network. */
export const isId = (text: string) => /^\d{1,15}$/.test(text);

/** `?a=1&b=2` of what was given. */
export function queryOf(values: Readonly<Record<string, string | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== false) query.set(name, String(value));
  }
  return query.size === 0 ? "" : `?${query}`;
}
