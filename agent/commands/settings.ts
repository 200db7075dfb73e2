import { exitCodes } from "../../shared/errors.ts";
import { prepareFilter } from "../filters/compile-filter.ts";
import { resolveSettings } from "../settings/resolve-settings.ts";
import { type AgentCommand, configOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent settings [options]",
    about: "Everything `run` would work with, as one JSON value: agent.yaml with its defaults and every jail resolved.",
    options: configOption,
  },
  async run(line) {
    const { config, settings } = resolveSettings(line.text("config"));
    const jails = settings.jails.map((jail) => ({ ...jail, filter: prepareFilter(jail.filter, jail.useDns) }));
    printJson({ config, settings: { ...settings, jails } });
    return exitCodes.ok;
  },
};
