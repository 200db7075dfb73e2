import { exitCodes } from "../../shared/errors.ts";
import { resolveSettings } from "../settings/resolve-settings.ts";
import { type AgentCommand, configOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent settings [options]",
    about: "Everything `run` would work with, as one JSON value: agent.yaml with its defaults and every jail resolved.",
    options: configOption,
  },
  async run(line) {
    printJson(resolveSettings(line.text("config")));
    return exitCodes.ok;
  },
};
