import { UsageError } from "../../shared/command-line.ts";
import { exitCodes } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { zoneMinutes } from "../dates/zone.ts";
import { compileFilter } from "../filters/compile-filter.ts";
import { FilterReport } from "../filters/filter-report.ts";
import { loadFilter } from "../settings/load-settings.ts";
import { type AgentCommand, configDirOption, configOption, jsonOption, printJson } from "./command.ts";
import { nowOption, readLog, readNowMs } from "./read-log.ts";

const useDnsChoices = ["yes", "warn", "no", "raw"] as const;
/** A test may be of an old log or of one to come, so dates are not held to be near the present as in a jail. */
const latestYear = 2099;

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent filter LOG FILTER [options]",
    about:
      "What a filter finds in a log, like fail2ban-regex. LOG `-` is standard input; FILTER as in a jail:\n" +
      "`sshd[mode=aggressive]`; with `logtype=journal` lines carry no date and happen at --now.",
    options: {
      ...nowOption,
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
    const nowMs = readNowMs(line);
    const useDns = useDnsChoices.find((choice) => choice === (line.text("usedns") ?? "warn"));
    if (useDns === undefined) throw new UsageError(`--usedns: must be one of ${useDnsChoices.join(", ")}`);
    const timezone = readTimezone(line.text("timezone"));
    const config = loadAgentConfig(line.text("config"));
    const settings = loadFilter(line.text("config-dir") ?? config.configDir, reference, config.overlayDir);
    const filter = compileFilter(settings, { useDns, timezone, latestYear });
    for (const warning of filter.warnings) process.stderr.write(`warning: ${warning}\n`);
    const report = new FilterReport(filter, { nowMs, mode: "any", findTimeMs: 0 }, (trouble) => {
      process.stderr.write(`${JSON.stringify(trouble)}\n`);
    });
    const print = line.on("json") ? printJson : printText;
    for await (const chunk of readLog(log)) for (const row of report.add(chunk)) print(row);
    for (const row of report.finish(log === "-")) print(row);
    return exitCodes.ok;
  },
};

/** What a filter understands (`CET`, `UTC+0200`), or a place such as Europe/Berlin with its summer time. */
function readTimezone(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (zoneMinutes(text) !== undefined && text !== "") return text;
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
  } catch {
    throw new UsageError(`--timezone: "${text}" is no zone; write UTC+0200, CET or Europe/Berlin`);
  }
  process.env.TZ = text;
  return null;
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
