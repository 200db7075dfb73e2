import { UsageError } from "../../shared/command-line.ts";
import { exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { compileFilter } from "../filters/compile-filter.ts";
import { createLogFilters } from "../filters/filter-log.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { Filter } from "../filters/match-line.ts";
import { createIgnoreList } from "../jails/ignore-list.ts";
import { type ReplayEvent, replayJail } from "../jails/replay.ts";
import { systemIgnoreSources } from "../jails/system-ignore-sources.ts";
import type { JailSettings } from "../settings/jail-settings.ts";
import { loadSettings } from "../settings/load-settings.ts";
import { encodingNamed } from "../settings/log-encoding.ts";
import { namesOf } from "../watch/host-names.ts";
import { type AgentCommand, configDirOption, configOption, jsonOption, printJson } from "./command.ts";
import { nowOption, readNowMs, readWholeLines } from "./read-log.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent replay LOG --jail JAIL [options]",
    about: "What the jail would have banned had it watched this log: the same decisions as fail2ban on the same log.",
    options: {
      jail: { value: "JAIL", help: "the jail, enabled or not" },
      ...nowOption,
      ...configDirOption,
      ...configOption,
      ...jsonOption,
    },
    positionals: [1, 1],
  },
  async run(line) {
    const name = line.text("jail");
    if (name === undefined) throw new UsageError("replay: name the jail with --jail");
    const nowMs = readNowMs(line);
    const config = loadAgentConfig(line.text("config"));
    const settings = oneJail(line.text("config-dir") ?? config.configDir, config.overlayDir, name);
    const filter = compileFilter(
      { ...settings.filter, dateless: false },
      { useDns: settings.useDns, timezone: settings.logTimezone },
    );
    for (const warning of filter.warnings) process.stderr.write(`warning: ${warning}\n`);
    const ignoreList = createIgnoreList(settings, systemIgnoreSources);
    await ignoreList.refreshNames(nowMs);
    const found = await failuresOf(line.positionals[0] ?? "", filter, settings.logEncoding, nowMs);
    const named = (await Promise.all(found.map((each) => namesOf(each, settings.useDns)))).flat();
    const print = line.on("json") ? printJson : printText;
    for (const event of replayJail(settings, ignoreList, named)) print(event);
    return exitCodes.ok;
  },
};

function oneJail(configDir: string, overlayDir: string, name: string): JailSettings {
  const { jails, broken } = loadSettings(configDir, { jail: name, overlayDir, hasJournal: false });
  const settings = jails.find((jail) => jail.name === name);
  if (settings !== undefined) return settings;
  const problem = broken.find((jail) => jail.name === name)?.problem ?? "is not in this configuration";
  throw new Fleet2banError("invalid", `jail ${name}: ${problem}`);
}

async function failuresOf(log: string, filter: Filter, logEncoding: string, nowMs: number): Promise<FoundFailure[]> {
  const found: FoundFailure[] = [];
  const lines = createLogFilters([filter], {
    encoding: encodingNamed(logEncoding) ?? "utf-8",
    report: (trouble) => process.stderr.write(`${JSON.stringify(trouble)}\n`),
  });
  for await (const chunk of readWholeLines(log)) {
    lines.process(chunk, { nowMs, mode: "any", findTimeMs: 0 }, (_task, outcome) => {
      if (outcome.kind === "failure") found.push(outcome.failure);
    });
  }
  return found;
}

function printText({ at, id, bantime }: ReplayEvent): void {
  const span = bantime === -1 ? "for ever" : `for ${bantime} s`;
  process.stdout.write(`${new Date(at * 1000).toISOString()} ban ${id} ${span}\n`);
}
