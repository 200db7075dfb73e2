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

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("fleet2ban", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "replay") return await replayCommand(rest, process);
  if (name === "completion") {
    if (rest[0] !== "bash")
      throw new UsageError('usage: fleet2ban completion bash; then: eval "$(fleet2ban completion bash)"');
    process.stdout.write(completionScript("fleet2ban", commands, common, ["replay", "completion", "help"]));
    return exitCodes.ok;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(overview());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (name === "--version") {
    process.stdout.write(`fleet2ban ${version}\n`);
    return exitCodes.ok;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command "${name}"; fleet2ban --help lists them`);
  const help = { ...command.help, options: { ...command.help.options, ...common } };
  const line = parseCommandLine(rest, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const server = line.text("server") ?? process.env.FLEET2BAN_SERVER ?? "http://127.0.0.1:8080";
  if (!URL.canParse(server))
    throw new UsageError(`--server: "${server}" is not an address; write http://127.0.0.1:8080`);
  const api = openApiClient(server, line.text("token") ?? process.env.FLEET2BAN_TOKEN);
  const terminal = openTerminal(process.stdin, process.stderr, line.on("yes"));
  try {
    const answer = await command.run(api, line, Date.now(), terminal);
    terminal.clear();
    await print(answer, line.on("json"));
    return answer.isBad === true ? exitCodes.other : exitCodes.ok;
  } finally {
    terminal.clear();
  }
}

async function print(answer: Answer, json: boolean): Promise<void> {
  if (answer.file === undefined) {
    process.stdout.write(json ? answer.values.map((value) => `${JSON.stringify(value)}\n`).join("") : answer.text);
    return;
  }
  for await (const part of answer.file) if (!process.stdout.write(part)) await once(process.stdout, "drain");
}

function overview(): string {
  const rows = Object.values(commands).map(({ help }) => `  ${help.usage}\n      ${help.about.split("\n")[0]}`);
  const others = [
    "  fleet2ban replay EVENTS [--policy FILE] [--json]\n      What would this policy have done? Runs recorded events, no server needed.",
    '  fleet2ban completion bash\n      The shell\'s completion: eval "$(fleet2ban completion bash)"',
  ];
  return `usage: fleet2ban COMMAND [options]\n\n${[...rows, ...others].join("\n")}\n\nEvery command takes --server, --token, --json and --help; --version says which release this is.\n`;
}
