import { createReadStream } from "node:fs";
import { UsageError } from "../../shared/command-line.ts";
import { exitCodes, Fleet2banError, messageOf } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { compileFilter } from "../filters/compile-filter.ts";
import { FilterReport } from "../filters/filter-report.ts";
import { loadFilter } from "../settings/load-settings.ts";
import { type AgentCommand, configDirOption, configOption, jsonOption, printJson } from "./command.ts";

const useDnsChoices = ["yes", "warn", "no", "raw"] as const;

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent filter LOG FILTER [options]",
    about:
      "What a filter finds in a log, like fail2ban-regex. LOG `-` is standard input; FILTER as in a jail:\n" +
      "`sshd[mode=aggressive]`; with `logtype=journal` lines carry no date and happen at --now.",
    options: {
      now: { value: "EPOCH", help: "the present, in seconds since the epoch (default: the clock)" },
      timezone: { value: "TZ", help: "zone of dates without one (default: this machine's)" },
      usedns: { value: "MODE", help: "yes, warn, no or raw (default: warn; names are not resolved here)" },
      "no-findtime": { help: "kept for scripts: dates count as they stand in any case" },
      ...configDirOption,
      ...configOption,
      ...jsonOption,
    },
    positionals: [2, 2],
  },
  async run(line) {
    const [log = "", reference = ""] = line.positionals;
    const nowText = line.text("now");
    if (nowText !== undefined && !/^\d{1,11}(\.\d+)?$/.test(nowText))
      throw new UsageError(`--now: "${nowText}" is not a time in seconds since the epoch`);
    const useDns = useDnsChoices.find((choice) => choice === (line.text("usedns") ?? "warn"));
    if (useDns === undefined) throw new UsageError(`--usedns: must be one of ${useDnsChoices.join(", ")}`);
    const configDir = line.text("config-dir") ?? loadAgentConfig(line.text("config")).configDir;
    const filter = compileFilter(loadFilter(configDir, reference), { useDns, timezone: line.text("timezone") ?? null });
    for (const warning of filter.warnings) process.stderr.write(`warning: ${warning}\n`);
    const nowMs = nowText === undefined ? Date.now() : Number(nowText) * 1000;
    const report = new FilterReport(filter, { nowMs, mode: "any", findTimeMs: 0 }, (trouble) => {
      process.stderr.write(`${JSON.stringify(trouble)}\n`);
    });
    const print = line.on("json") ? printJson : printText;
    for await (const chunk of openLog(log)) for (const row of report.add(chunk)) print(row);
    for (const row of report.finish()) print(row);
    return exitCodes.ok;
  },
};

async function* openLog(log: string): AsyncGenerator<Buffer> {
  try {
    yield* log === "-" ? process.stdin : createReadStream(log, { highWaterMark: 1024 * 1024 });
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${log}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function printText(row: Readonly<Record<string, unknown>>): void {
  if ("lines" in row)
    process.stdout.write(
      `Lines: ${row.lines} lines, ${row.ignored} ignored, ${row.matched} matched, ${row.missed} missed\n`,
    );
  else
    process.stdout.write(
      `line ${row.line}: ${row.id}${row.user === null ? "" : ` user ${JSON.stringify(row.user)}`}\n`,
    );
}
