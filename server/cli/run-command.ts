import { once } from "node:events";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal, UsageError } from "../../shared/command-line.ts";
import { completionScript } from "../../shared/completion.ts";
import { exitCodeOf, exitCodes } from "../../shared/errors.ts";
import { version } from "../../shared/version.ts";
import { openApiClient } from "./api-client.ts";
import type { Answer } from "./command.ts";
import { commands } from "./commands.ts";
import { replayCommand } from "./replay.ts";
import { openTerminal } from "./terminal.ts";

const common: CommandHelp["options"] = {
  server: { value: "URL", help: "the coordinator (default http://127.0.0.1:8080, or FLEET2BAN_SERVER)" },
  token: { value: "TOKEN", help: "an API token (or FLEET2BAN_TOKEN)" },
  json: { help: "one JSON value per line, for programs" },
};

/** What a command has of the process it runs in. */
export type CommandProcess = Readonly<{
  stdin: NodeJS.ReadableStream & Readonly<{ isTTY?: boolean }>;
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream & Readonly<{ isTTY?: boolean; columns?: number }>;
  env: Readonly<Record<string, string | undefined>>;
}>;

/** One command line of `fleet2ban`, without the program's name. @returns the exit code; never throws */
export async function runCommand(args: readonly string[], io: CommandProcess): Promise<number> {
  try {
    return await answer(args, io);
  } catch (error) {
    return reportFatal("fleet2ban", error, exitCodeOf, io.stderr);
  }
}

async function answer(args: readonly string[], io: CommandProcess): Promise<number> {
  const [name, ...rest] = args;
  if (name === "replay") return await replayCommand(rest, io);
  if (name === "completion") {
    if (rest[0] !== "bash")
      throw new UsageError('usage: fleet2ban completion bash; then: eval "$(fleet2ban completion bash)"');
    io.stdout.write(completionScript("fleet2ban", commands, common, ["replay", "completion", "help"]));
    return exitCodes.ok;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    io.stdout.write(overview());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (name === "--version") {
    io.stdout.write(`fleet2ban ${version}\n`);
    return exitCodes.ok;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command "${name}"; fleet2ban --help lists them`);
  const help = { ...command.help, options: { ...command.help.options, ...common } };
  const line = parseCommandLine(rest, help);
  if (line.help) {
    io.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const server = line.text("server") ?? io.env.FLEET2BAN_SERVER ?? "http://127.0.0.1:8080";
  if (!URL.canParse(server))
    throw new UsageError(`--server: "${server}" is not an address; write http://127.0.0.1:8080`);
  const api = openApiClient(server, line.text("token") ?? io.env.FLEET2BAN_TOKEN);
  const terminal = openTerminal(io.stdin, io.stderr, line.on("yes"));
  try {
    const answered = await command.run(api, line, Date.now(), terminal);
    terminal.clear();
    await print(answered, line.on("json"), io);
    return answered.isBad === true ? exitCodes.other : exitCodes.ok;
  } finally {
    terminal.clear();
  }
}

async function print({ text, values, file }: Answer, json: boolean, { stdout }: CommandProcess): Promise<void> {
  if (file === undefined) {
    stdout.write(json ? values.map((value) => `${JSON.stringify(value)}\n`).join("") : text);
    return;
  }
  for await (const part of file) if (!stdout.write(part)) await once(stdout, "drain");
}

function overview(): string {
  const rows = Object.values(commands).map(({ help }) => `  ${help.usage}\n      ${help.about.split("\n")[0]}`);
  const others = [
    "  fleet2ban replay EVENTS [--policy FILE] [--json]\n      What would this policy have done? Runs recorded events, no server needed.",
    '  fleet2ban completion bash\n      The shell\'s completion: eval "$(fleet2ban completion bash)"',
  ];
  return `usage: fleet2ban COMMAND [options]\n\n${[...rows, ...others].join("\n")}\n\nEvery command takes --server, --token, --json and --help; --version says which release this is.\n`;
}
