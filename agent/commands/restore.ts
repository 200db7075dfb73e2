import { exitCodes } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { openLogger } from "../logger.ts";
import { restore } from "../restore.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent restore [options]",
    about:
      "Puts the bans of the last run back into the firewall and ends. The service fleet2ban-agent-restore does it at boot,\n" +
      "before the network is up; `fleet2ban-agent run` does it by itself. Not while an agent runs.",
    options: { ...configOption, ...jsonOption },
  },
  async run(line) {
    const config = loadAgentConfig(line.text("config"));
    const restored = await restore(config, Date.now, openLogger(config.logLevel));
    if (line.on("json")) printJson(restored);
    else if ("skipped" in restored) process.stdout.write(`nothing restored: ${restored.skipped}\n`);
    else {
      const refused = restored.refused === 0 ? "" : `; ${restored.refused} were refused`;
      process.stdout.write(`${restored.elements} elements are in ${restored.firewall} again${refused}\n`);
    }
    return exitCodes.ok;
  },
};
