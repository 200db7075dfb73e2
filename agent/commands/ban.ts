import { exitCodes } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { controlPath } from "../control/control-path.ts";
import { askControl } from "../control/control-socket.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent ban JAIL IP [options]",
    about:
      "Bans an address in one jail of this host for the jail's bantime, as `fail2ban-client set JAIL banip IP` does.",
    options: { attempt: { help: "count one failure instead of banning at once" }, ...configOption, ...jsonOption },
    positionals: [2, 2],
  },
  async run(line) {
    const [jail = "", what = ""] = line.positionals;
    const { stateDir } = loadAgentConfig(line.text("config"));
    const answer = await askControl(controlPath(stateDir), {
      verb: line.on("attempt") ? "attempt" : "ban",
      jail,
      what,
    });
    if (line.on("json")) printJson(answer);
    else process.stdout.write(`${what}: ${JSON.stringify(answer)}\n`);
    return exitCodes.ok;
  },
};
