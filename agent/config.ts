import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import * as z from "zod";
import { parseNet } from "../shared/address.ts";
import { Fleet2banError } from "../shared/errors.ts";
import { builtInConfigDir, defaultConfigDir } from "./settings/load-settings.ts";

/** Where `agent run` looks when no `--config` is given; it need not exist. */
export const defaultConfigFile = "/etc/fleet2ban/agent.yaml";

const net = z
  .string()
  .refine((text) => parseNet(text) !== undefined, "not an address or network (write 192.0.2.1 or 192.0.2.0/24)");

const AgentYaml = z.strictObject({
  /** Everything the agent remembers: bans, log positions, its last revision. Only one agent may use it. */
  stateDir: z.string().default("/var/lib/fleet2ban-agent"),
  /** Written by `agent enroll` and renewed by the agent. Absent: `agent.credentials` in stateDir. Without the file the agent works alone. */
  credentials: z.string().optional(),
  /** Absent: /etc/fail2ban when it exists, else the built-in library. */
  configDir: z.string().optional(),
  /** Your own jail.local, jail.d/ and filter.d/ over configDir's; an update never touches them. May be absent. */
  overlayDir: z.string().default("/etc/fleet2ban"),
  /** Jails to enable on top of what the configuration enables; the built-in library starts with sshd. */
  jails: z.array(z.string()).optional(),
  firewall: z.enum(["auto", "nftables", "ipset", "ufw", "firewalld", "observe"]).default("auto"),
  verdict: z.enum(["drop", "reject"]).default("drop"),
  /** Never banned here, whoever orders it. */
  never: z.array(net).default([]),
  /** `lines` sends the matched line with each failure, cut to 256 characters; `minimal` sends none. */
  evidence: z.enum(["minimal", "lines"]).default("minimal"),
  /** fail2ban actions other than firewalls that may run here, by name. */
  actions: z.array(z.string()).default([]),
  /** Hosts (`address:port`) that must stay reachable: a ban that cuts one off is rolled back. */
  probes: z.array(z.string()).default([]),
  /** Write a fail2ban.log-shaped log here, for recidive jails and log watchers. */
  fail2banLog: z.string().optional(),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export type AgentConfig = Readonly<
  Omit<z.infer<typeof AgentYaml>, "configDir" | "credentials" | "jails"> & {
    configDir: string;
    credentials: string;
    jails: readonly string[];
  }
>;

/**
 * Reads agent.yaml.
 *
 * @param file  undefined = the default place, which may be absent; a named file must exist
 * @throws Fleet2banError `invalid` naming file, field and remedy
 */
export function loadAgentConfig(
  file: string | undefined,
  overrides: Readonly<Record<string, unknown>> = {},
): AgentConfig {
  const path = file ?? defaultConfigFile;
  const raw = file !== undefined || existsSync(path) ? readYaml(path) : {};
  if (raw !== null && (typeof raw !== "object" || Array.isArray(raw))) {
    throw new Fleet2banError("invalid", `${path}: must hold "name: value" lines, one setting each`);
  }
  const read = AgentYaml.safeParse({ ...raw, ...overrides });
  if (!read.success) {
    const problems = read.error.issues.map((issue) => `${issue.path.join(".") || "file"}: ${issue.message}`);
    throw new Fleet2banError("invalid", `${path}: ${problems.join("; ")}`);
  }
  const { configDir: named, jails: enabled, ...rest } = read.data;
  const configDir = named ?? defaultConfigDir();
  const credentials = rest.credentials ?? join(rest.stateDir, "agent.credentials");
  return { ...rest, configDir, credentials, jails: enabled ?? (configDir === builtInConfigDir() ? ["sshd"] : []) };
}

function readYaml(path: string): Readonly<Record<string, unknown>> | null {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const what =
      cause instanceof Error && "code" in cause && cause.code === "ENOENT"
        ? "no such file; pass --config or create it"
        : messageOf(cause);
    throw new Fleet2banError("invalid", `${path}: ${what}`, { cause });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split("\n")[0] ?? cause.message) : String(cause);
}
