import { version } from "../shared/version.ts";
import type { JailActions } from "./actions/jail-actions.ts";
import type { AgentConfig } from "./config.ts";
import type { Fleet, FleetState } from "./fleet/fleet.ts";
import type { HostFirewall } from "./host-firewall.ts";
import type { LogWatch } from "./watch/log-watch.ts";
import type { WatchedJail } from "./watch/watched-jail.ts";

/** What `agent status --json` prints: one object, keys only ever added. */
export type AgentStatus = ReturnType<typeof statusOf>;

export type StatusParts = Readonly<{
  config: AgentConfig;
  jails: readonly WatchedJail[];
  actions: JailActions;
  firewall: HostFirewall;
  fleet: Fleet | undefined;
  watch: LogWatch | undefined;
  problems: readonly string[];
}>;

export function statusOf(parts: StatusParts) {
  const { jails, firewall, fleet, watch } = parts;
  const { enforcer } = firewall;
  return {
    version,
    pid: process.pid,
    configDir: parts.config.configDir,
    problems: parts.problems,
    jails: jails.map(({ jail, settings }) => ({
      name: jail.name,
      source: settings.source,
      counted: jail.countedIds(),
      banned: [...jail.bans()].map(({ id, untilMs }) => ({
        id,
        until: untilMs === null ? null : Math.floor(untilMs / 1000),
      })),
    })),
    actions: parts.actions.status,
    firewall: {
      name: enforcer.name,
      enforcing: enforcer.enforcing,
      state: enforcer.state.kind,
      elements: enforcer.size,
      refused: enforcer.state.refused,
      heals: enforcer.state.heals,
      stopped: enforcer.stopped,
      reasons: firewall.reasons,
      warnings: firewall.warnings,
      beside: firewall.beside,
      problem: enforcer.state.problem,
      allowed: enforcer.allowed,
    },
    fleet: fleet === undefined ? null : fleetStatus(fleet.state()),
    logs: watch?.tail.status() ?? [],
    counts: watch?.tail.counts ?? null,
  };
}

function fleetStatus({ positions, waitingRows, inFlight, spooledRows, spooledBytes, lostRows, ...rest }: FleetState) {
  return { ...rest, scopes: positions, outbox: { waitingRows, inFlight, spooledRows, spooledBytes, lostRows } };
}
