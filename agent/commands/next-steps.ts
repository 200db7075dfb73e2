import { existsSync } from "node:fs";
import type { AgentConfig } from "../config.ts";
import type { Settings } from "../settings/jail-settings.ts";

const unitFile = "/lib/systemd/system/fleet2ban-agent.service";
/** There while fail2ban's server runs; systemd takes the folder away when it ends. */
const fail2banSocket = "/run/fail2ban/fail2ban.sock";

function fail2banRuns(): boolean {
  return existsSync(fail2banSocket);
}

/** What is not wrong, but may not be what whoever started this agent expects. */
export function startingHints(config: AgentConfig, settings: Settings): string[] {
  const hints = [];
  if (!existsSync(config.credentials)) hints.push("works alone; `fleet2ban-agent enroll TOKEN` joins a fleet");
  if (settings.jails.length === 0) {
    hints.push("no jail is on, so this host bans nobody by itself; name some as `jails` in /etc/fleet2ban/agent.yaml");
  }
  if (fail2banRuns() && config.firewall !== "observe") {
    hints.push("fail2ban runs on this host as well, and its bans are not lifted with ours; stop it, or only observe");
  }
  return hints;
}

/**
 * Sentences for a person who has just enrolled this host: what is still to be typed.
 *
 * @param configFile  when not the usual one, which is the service's
 */
export function nextSteps(again: boolean, configFile: string | undefined): string {
  const isInstalled = existsSync(unitFile);
  if (!isInstalled || configFile !== undefined) {
    const program = isInstalled ? "fleet2ban-agent" : "npm run -s agent --";
    const option = configFile === undefined ? "" : ` --config ${configFile}`;
    return `next: \`${program} check${option}\`, then \`${program} run${option}\`\n`;
  }
  if (again) return "next: `systemctl restart fleet2ban-agent`\n";
  const start = "systemctl enable --now fleet2ban-agent";
  if (!fail2banRuns()) return `next: \`fleet2ban-agent check\`, then \`${start}\`\n`;
  return (
    "next: `fleet2ban-agent check`. fail2ban runs on this host, and its bans are not lifted with ours. Either move over:\n" +
    `  systemctl disable --now fail2ban && fleet2ban-agent import && ${start}\n` +
    `or only watch for now: set \`firewall: observe\` in /etc/fleet2ban/agent.yaml, then \`${start}\`\n`
  );
}
