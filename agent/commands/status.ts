import { exitCodes } from "../../shared/errors.ts";
import { nameOfList } from "../../shared/firewall-lists.ts";
import { loadAgentConfig } from "../config.ts";
import { controlPath } from "../control/control-path.ts";
import { askControl } from "../control/control-socket.ts";
import type { AgentStatus } from "../status.ts";
import { type AgentCommand, configOption, jsonOption, printJson } from "./command.ts";

export const command: AgentCommand = {
  help: {
    usage: "fleet2ban-agent status [JAIL] [options]",
    about: "The running agent: its jails and bans, the firewall and why this one, the fleet, and what is wrong.",
    options: { ...configOption, ...jsonOption },
    positionals: [0, 1],
  },
  async run(line) {
    const { stateDir } = loadAgentConfig(line.text("config"));
    // Written by this same program, over a socket only its owner opens.
    const status = (await askControl(controlPath(stateDir), { verb: "status" })) as AgentStatus;
    if (line.on("json")) printJson(status);
    else process.stdout.write(describe(status, line.positionals[0]));
    return exitCodes.ok;
  },
};

function describe(status: AgentStatus, only: string | undefined): string {
  const { firewall, fleet } = status;
  const jails = status.jails.filter((jail) => only === undefined || jail.name === only);
  const lines = [
    `agent     ${status.version}, process ${status.pid}, configuration ${status.configDir}`,
    `firewall  ${firewall.name}, ${firewall.enforcing ? "enforcing" : "NOT ENFORCING"}, ${firewall.state}, ${firewall.elements} elements (${firewall.reasons.join("; ")})`,
    fleet === null
      ? "fleet     none: this agent works alone"
      : `fleet     ${fleet.tenant}/${fleet.host}, ${fleet.connected ? "connected" : "CUT OFF"}, ${fleet.inSync ? "in step" : "catching up"}, ${fleet.outbox.waitingRows} failures waiting`,
    ...(fleet?.observes === true
      ? ["observes  told by the coordinator: its bans are kept and NOT ENFORCED; what the jails here ban is"]
      : []),
    ...stoppedText(firewall.stopped),
    ...jails.map(
      (jail) =>
        `jail      ${jail.name}: ${jail.banned.length} banned, ${jail.counted} counted${bannedText(jail.banned)}`,
    ),
    ...status.problems.map((problem) => `!         ${problem}`),
  ];
  return `${lines.join("\n")}\n`;
}

function stoppedText(stopped: AgentStatus["firewall"]["stopped"]): string[] {
  if (stopped.length === 0) return [];
  const lists = stopped
    .filter(({ packets }) => packets > 0)
    .map(({ name, packets }) => `${packets} packets by ${nameOfList(name)}`);
  return [`stopped   ${lists.join(", ") || "no packet yet"}`];
}

function bannedText(banned: AgentStatus["jails"][number]["banned"]): string {
  const shown = banned.slice(0, 20).map(({ id }) => id);
  const more = banned.length > shown.length ? ` and ${banned.length - shown.length} more` : "";
  return shown.length === 0 ? "" : ` (${shown.join(" ")}${more})`;
}
