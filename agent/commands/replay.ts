import { createReadStream } from "node:fs";
import { exitCodes, Fleet2banError, messageOf } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { compileFilter } from "../filters/compile-filter.ts";
import { createLogFilters } from "../filters/filter-log.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import { createIgnoreList } from "../jails/ignore-list.ts";
import { replayJail } from "../jails/replay.ts";
import { systemIgnoreSources } from "../jails/system-ignore-sources.ts";
import { loadSettings } from "../settings/load-settings.ts";
import { namesOf } from "../watch/host-names.ts";
import { type AgentCommand, configDirOption, configOption, jsonOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent replay LOG --jail JAIL [options]",
    about: "What the jail would have banned had it watched this log: the same decisions as fail2ban on the same log.",
    options: {
      jail: { value: "JAIL", help: "the jail, enabled or not" },
      now: { value: "EPOCH", help: "the present, for dates without a year (default: the clock)" },
      ...configDirOption,
      ...configOption,
      ...jsonOption,
    },
    positionals: [1, 1],
  },
  async run(line) {
    const name = line.text("jail");
    if (name === undefined) throw new Fleet2banError("invalid", "replay: name the jail with --jail");
    const configDir = line.text("config-dir") ?? loadAgentConfig(line.text("config")).configDir;
    const { jails, broken } = loadSettings(configDir, { jail: name, hasJournal: false });
    const settings = jails.find((jail) => jail.name === name);
    if (settings === undefined) {
      const problem = broken.find((jail) => jail.name === name)?.problem ?? "is not in this configuration";
      throw new Fleet2banError("invalid", `jail ${name}: ${problem}`);
    }
    const filter = compileFilter(
      { ...settings.filter, dateless: false },
      { useDns: settings.useDns, timezone: settings.logTimezone },
    );
    const nowMs = line.text("now") === undefined ? Date.now() : Number(line.text("now")) * 1000;
    const found = await failuresOf(line.positionals[0] ?? "", filter, nowMs);
    const print = line.on("json")
      ? printJson
      : (event: { at: number; id: string; bantime: number }) =>
          process.stdout.write(`${new Date(event.at * 1000).toISOString()} ban ${event.id} for ${event.bantime} s\n`);
    const ignoreList = createIgnoreList(settings, systemIgnoreSources);
    await ignoreList.refreshNames(nowMs);
    const named = (await Promise.all(found.map((each) => namesOf(each, settings.useDns)))).flat();
    for (const event of replayJail(settings, ignoreList, named)) print(event);
    return exitCodes.ok;
  },
};

async function failuresOf(
  log: string,
  filter: ReturnType<typeof compileFilter>,
  nowMs: number,
): Promise<FoundFailure[]> {
  const found: FoundFailure[] = [];
  const lines = createLogFilters([filter], {
    report: (trouble) => process.stderr.write(`${JSON.stringify(trouble)}\n`),
  });
  const take = (chunk: Buffer) =>
    lines.process(chunk, { nowMs, mode: "any", findTimeMs: 0 }, (_task, outcome) => {
      if (outcome.kind === "failure") found.push(...outcome.failures);
    });
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const part of log === "-" ? process.stdin : createReadStream(log, { highWaterMark: 1024 * 1024 })) {
      const chunk = Buffer.concat([rest, part]);
      const end = chunk.lastIndexOf(10) + 1;
      take(chunk.subarray(0, end));
      rest = chunk.subarray(end);
    }
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${log}: cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (rest.length > 0) take(Buffer.concat([rest, Buffer.from("\n")]));
  return found;
}
