import { exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { loadAgentConfig } from "../config.ts";
import { controlPath } from "../control/control-path.ts";
import { askControl } from "../control/control-socket.ts";
import { lockFirewall } from "../firewall/firewall-lock.ts";
import { takeOut } from "../firewall/take-out.ts";
import { openLogger } from "../logger.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent uninstall [options]",
    about:
      "Takes everything of ours out of this host's firewall, and nothing else. Stop the agent first. What it remembers\n" +
      "stays: when it runs again, its bans are in force again. `apt remove fleet2ban-agent` does both.",
    options: { ...configOption, ...jsonOption },
  },
  async run(line) {
    const { stateDir } = loadAgentConfig(line.text("config"));
    const isRunning = await askControl(controlPath(stateDir), { verb: "status" }).then(
      () => true,
      () => false,
    );
    // It would write everything anew within a minute.
    if (isRunning) {
      throw new Fleet2banError(
        "conflict",
        "an agent runs on this host: stop it first, `systemctl stop fleet2ban-agent`",
      );
    }
    using _alone = lockFirewall(openLogger("error"));
    const removed = await takeOut({ now: Date.now });
    if (line.on("json")) printJson({ removed });
    else {
      const what =
        removed.length === 0 ? "there was nothing of fleet2ban" : `took fleet2ban out of ${removed.join(", ")}`;
      process.stdout.write(`${what}\n`);
    }
    return exitCodes.ok;
  },
};
