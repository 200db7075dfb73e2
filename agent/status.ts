import type { AgentCredentials } from "../shared/enrollment.ts";
import { version } from "../shared/version.ts";
import type { AgentConfig } from "./config.ts";
import type { Enforcer } from "./firewall/enforcer.ts";
import type { Fleet } from "./fleet/open-fleet.ts";
import type { LogWatch } from "./watch/log-watch.ts";
import type { WatchedJail } from "./watch/watched-jail.ts";

/** What `agent status --json` prints: one object, keys only ever added. */
export type AgentStatus = ReturnType<typeof statusOf>;

export type StatusParts = Readonly<{
  config: AgentConfig;
  jails: readonly WatchedJail[];
  enforcer: Enforcer;
  /** Why this firewall was chosen. */
  reasons: readonly string[];
  fleet: Fleet | undefined;
  credentials: AgentCredentials | undefined;
  watch: LogWatch | undefined;
  problems: readonly string[];
}>;

export function statusOf(parts: StatusParts) {
  const { jails, enforcer, fleet, credentials, watch } = parts;
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
    firewall: {
      name: enforcer.name,
      enforcing: enforcer.enforcing,
      state: enforcer.state.kind,
      elements: enforcer.size,
      refused: enforcer.state.refused,
      heals: enforcer.state.heals,
      reasons: parts.reasons,
    },
    fleet:
      fleet === undefined || credentials === undefined
        ? null
        : {
            host: credentials.host,
            tenant: credentials.tenant,
            connected: fleet.connected(),
            inSync: fleet.orders.inSync(),
            scopes: fleet.orders.positions(),
            outbox: fleet.outbox.state,
            badFrames: fleet.orders.badFrames,
          },
    logs: watch?.tail.status() ?? [],
    counts: watch?.tail.counts ?? null,
  };
}
