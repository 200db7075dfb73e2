import { parseNet } from "../../shared/address.ts";
import { UsageError } from "../../shared/command-line.ts";
import { exitCodes } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { controlPath } from "../control/control-path.ts";
import { askControl } from "../control/control-socket.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent unban IP|NET | --all [options]",
    about:
      "Lifts bans on this host at once, the fleet's included: the emergency exit when the coordinator is away. The\n" +
      "coordinator is not told; lift a fleet ban everywhere with `fleet2ban unban`.",
    options: { all: { help: "every ban on this host" }, ...configOption, ...jsonOption },
    positionals: [0, 1],
  },
  async run(line) {
    const what = line.positionals[0] ?? null;
    if ((what === null) !== line.on("all"))
      throw new UsageError("fleet2ban-agent unban: name one address or network, or --all");
    if (what !== null && parseNet(what) === undefined) {
      throw new UsageError(`"${what}" is not an address or network; write 192.0.2.1 or 192.0.2.0/24`);
    }
    const { stateDir } = loadAgentConfig(line.text("config"));
    const answer = await askControl(controlPath(stateDir), { verb: "unban", what });
    if (line.on("json")) printJson(answer);
    else process.stdout.write(`lifted ${what ?? "every ban"} on this host: ${JSON.stringify(answer)}\n`);
    return exitCodes.ok;
  },
};
