import { parseArgs } from "node:util";
import { exitCodes, Fleet2banError } from "./errors.ts";

/** A command called the wrong way: the sentence goes to standard error and the program ends with 64. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** One option: its value's name in the help text (absent = a switch) and what it does. */
export type OptionHelp = Readonly<{ value?: string; help: string; short?: string; many?: boolean }>;

export type CommandHelp = Readonly<{
  /** `fleet2ban-agent filter LOG FILTER [options]` */
  usage: string;
  about: string;
  options: Readonly<Record<string, OptionHelp>>;
  /** Exact number of positional arguments, or the least and the most. */
  positionals?: readonly [least: number, most: number];
}>;

export type Parsed = Readonly<{
  help: boolean;
  positionals: readonly string[];
  /** The option's value, the last one when it was given several times. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  on(name: string): boolean;
}>;

/**
 * Reads a command's arguments; `--help` is always known.
 *
 * @throws UsageError naming the argument and the remedy
 */
export function parseCommandLine(args: readonly string[], command: CommandHelp): Parsed {
  const options: Record<string, { type: "string" | "boolean"; short?: string; multiple: true }> = {
    help: { type: "boolean", short: "h", multiple: true },
  };
  for (const [name, option] of Object.entries(command.options)) {
    const type = option.value === undefined ? "boolean" : "string";
    options[name] = { type, multiple: true, ...(option.short === undefined ? {} : { short: option.short }) };
  }
  let values: Record<string, (string | boolean)[] | undefined>;
  let positionals: string[];
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true });
    values = parsed.values as typeof values;
    positionals = parsed.positionals;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message.split(". ")[0] : String(error)}; see --help`);
  }
  const help = values.help !== undefined;
  const [least, most] = command.positionals ?? [0, 0];
  if (!help && (positionals.length < least || positionals.length > most)) {
    throw new UsageError(`usage: ${command.usage}`);
  }
  const texts = (name: string) => (values[name] ?? []).filter((value) => typeof value === "string");
  return {
    help,
    positionals,
    texts,
    text: (name) => texts(name).at(-1),
    on: (name) => values[name]?.at(-1) === true,
  };
}

/** The text of `--help`. */
export function formatHelp(command: CommandHelp): string {
  const rows = Object.entries({ ...command.options, help: { help: "this text", short: "h" } satisfies OptionHelp }).map(
    ([name, option]: [string, OptionHelp]) => {
      const short = option.short === undefined ? "" : `-${option.short}, `;
      return [`  ${short}--${name}${option.value === undefined ? "" : ` ${option.value}`}`, option.help] as const;
    },
  );
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = rows.map(([left, right]) => `${left.padEnd(width)}${right}`);
  return `usage: ${command.usage}\n\n${command.about}\n\noptions:\n${lines.join("\n")}\n`;
}

/** Ends a program's `main` honestly: the sentence on standard error, the exit code of the design. */
export function reportFatal(
  program: string,
  error: unknown,
  exitCodeOf: (error: unknown) => number,
  stderr: NodeJS.WritableStream = process.stderr,
): number {
  const known = error instanceof Fleet2banError || error instanceof UsageError;
  const text = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  stderr.write(`${program}: ${text}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodeOf(error);
}
