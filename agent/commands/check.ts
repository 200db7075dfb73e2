import { exitCodes } from "../../shared/errors.ts";
import { compileFilter } from "../filters/compile-filter.ts";
import { banTimeOf } from "../jails/ban-time.ts";
import { explainSettings, settingsAsJson } from "../settings/explain-settings.ts";
import type { Settings } from "../settings/jail-settings.ts";
import { resolveSettings } from "../settings/resolve-settings.ts";
import { type AgentCommand, configDirOption, configOption, jsonOption, printJson } from "./command.ts";
import { explainPlan, planFirewall } from "./explain-firewall.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent check [options]",
    about:
      "Tests the configuration and explains the firewall that would be used, and every jail: filter, logs, thresholds, what\n" +
      "its bans stop, warnings. Ends with 78 when a jail cannot run, and names file, section, option and remedy.",
    options: { ...configDirOption, ...configOption, ...jsonOption },
  },
  async run(line) {
    const { config, settings: read } = resolveSettings(line.text("config"), line.text("config-dir"));
    const settings = withCompiledFilters(read);
    const plan = await planFirewall(config.firewall);
    if (line.on("json")) for (const value of [plan, ...settingsAsJson(settings)]) printJson(value);
    else process.stdout.write(`${explainPlan(plan)}\n${explainSettings(settings)}`);
    return settings.broken.length > 0 ? exitCodes.badConfig : exitCodes.ok;
  },
};

/** A jail whose regexes or formula cannot be used is as broken as one that cannot be read. */
function withCompiledFilters(settings: Settings): Settings {
  const broken = [...settings.broken];
  const jails = settings.jails.flatMap((jail) => {
    try {
      const filter = compileFilter(jail.filter, { useDns: jail.useDns, timezone: jail.logTimezone });
      banTimeOf(jail.banTimeMs, jail.increment);
      return [{ ...jail, warnings: [...jail.warnings, ...filter.warnings] }];
    } catch (error) {
      broken.push({ name: jail.name, problem: error instanceof Error ? error.message : String(error) });
      return [];
    }
  });
  return { ...settings, jails, broken };
}
