import { formatHelp, parseCommandLine, reportFatal, UsageError } from "../shared/command-line.ts";
import { exitCodeOf, exitCodes } from "../shared/errors.ts";
import { version } from "../shared/version.ts";
import type { AgentCommand } from "./commands/command.ts";

const commands: Readonly<
  Record<string, Readonly<{ about: string; load: () => Promise<Readonly<{ command: AgentCommand }>> }>>
> = {
  run: { about: "follow the logs, ban, report, obey the coordinator", load: () => import("./commands/run.ts") },
  enroll: { about: "join a fleet with a one-time token", load: () => import("./commands/enroll.ts") },
  check: { about: "test the configuration and explain every jail", load: () => import("./commands/check.ts") },
  filter: { about: "what a filter finds in a log, like fail2ban-regex", load: () => import("./commands/filter.ts") },
  replay: { about: "what a jail would have banned on a log", load: () => import("./commands/replay.ts") },
  import: { about: "take over fail2ban's bans, histories and places", load: () => import("./commands/import.ts") },
  restore: {
    about: "the last run's bans back into the firewall, at boot",
    load: () => import("./commands/restore.ts"),
  },
  settings: { about: "the resolved configuration as one JSON value", load: () => import("./commands/settings.ts") },
  status: { about: "the running agent: jails, bans, firewall, fleet", load: () => import("./commands/status.ts") },
  ban: { about: "ban an address in one jail, by hand", load: () => import("./commands/ban.ts") },
  unban: { about: "lift a ban on this host, whoever made it", load: () => import("./commands/unban.ts") },
  uninstall: { about: "take all of ours out of the firewall", load: () => import("./commands/uninstall.ts") },
  completion: {
    about: "a script that completes all this in bash",
    load: async () => ({ command: (await import("./commands/completion.ts")).completionCommand(everyCommand) }),
  },
};

async function everyCommand(): Promise<Record<string, AgentCommand>> {
  const loaded = Object.entries(commands).map(async ([name, { load }]) => [name, (await load()).command] as const);
  return Object.fromEntries(await Promise.all(loaded));
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on("error", () => process.exit(exitCodes.ok));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("fleet2ban-agent", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(overview());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (name === "--version") {
    process.stdout.write(`fleet2ban-agent ${version}\n`);
    return exitCodes.ok;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) throw new UsageError(`there is no command "${name}"; fleet2ban-agent --help lists them`);
  const { command } = await entry.load();
  const line = parseCommandLine(rest, command.help);
  if (!line.help) return await command.run(line);
  process.stdout.write(formatHelp(command.help));
  return exitCodes.ok;
}

function overview(): string {
  const rows = Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(12)}${about}`);
  return `usage: fleet2ban-agent COMMAND [options]\n\n${rows.join("\n")}\n\nEvery command has --help; --version says which release this is.\n`;
}
