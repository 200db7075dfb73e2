import { exitCodes } from "../../shared/errors.ts";
import { nameOfList } from "../../shared/firewall-lists.ts";
import { loadAgentConfig } from "../config.ts";
import { controlPath } from "../control/control-path.ts";
import { askControl } from "../control/control-socket.ts";
import { besideText } from "../firewall/managers.ts";
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
    ...firewallText(firewall),
    fleet === null
      ? "fleet     none: this agent works alone"
      : `fleet     ${fleet.tenant}/${fleet.host}, ${fleet.connected ? "connected" : "CUT OFF"}, ${fleet.inSync ? "in step" : "catching up"}, ${waitingText(fleet.outbox)}`,
    ...(fleet?.observes === true
      ? ["observes  told by the coordinator: its bans are kept and NOT ENFORCED; what the jails here ban is"]
      : []),
    ...stoppedText(firewall),
    ...jails.map(
      (jail) =>
        `jail      ${jail.name}: ${jail.banned.length} banned, ${jail.counted} counted${bannedText(jail.banned)}`,
    ),
    ...status.problems.map((problem) => `!         ${problem}`),
  ];
  return `${lines.join("\n")}\n`;
}

function firewallText(firewall: AgentStatus["firewall"]): string[] {
  const { name, enforcing, state, elements, allowed, reasons, warnings, beside, heals } = firewall;
  const healed = heals === 0 ? "" : `, written anew ${heals} times after somebody changed it`;
  const others = besideText(name, beside);
  return [
    `firewall  ${name}, ${enforcing ? "enforcing" : "NOT ENFORCING"}, ${state}, ${elements} elements, ${allowed} protected${healed} (${reasons.join("; ")})`,
    ...(others === undefined ? [] : [`          beside ${others}`]),
    ...warnings.map((warning) => `          ${warning}`),
  ];
}

function waitingText({ waitingRows, spooledBytes }: NonNullable<AgentStatus["fleet"]>["outbox"]): string {
  const onDisk = spooledBytes === 0 ? "" : ` (${Math.ceil(spooledBytes / 1024)} KiB on the disk)`;
  return `${waitingRows} failures waiting${onDisk}`;
}

function stoppedText({ name, enforcing, stopped }: AgentStatus["firewall"]): string[] {
  if (!enforcing) return [];
  if (stopped.length === 0) return [`stopped   ${name} does not say how many packets`];
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
