import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { contains, parseNet } from "../shared/address.ts";
import { type CommandHelp, formatHelp, type Parsed, parseCommandLine } from "../shared/command-line.ts";
import { Fleet2banError } from "../shared/errors.ts";

/** `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:0`. */
const hostPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, "must be HOST:PORT, for example 127.0.0.1:8080")
  .transform((text) => {
    const colon = text.lastIndexOf(":");
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, "the port must be at most 65535");

const ServerYaml = z.strictObject({
  /** Keys, the embedded database and bus, their sockets. One coordinator per directory. */
  dataDir: z.string().default("./data"),
  http: hostPort.prefault("127.0.0.1:8080"),
  /** Where people reach this coordinator, for whoever asks one that stands by; absent: the listening address. */
  publicUrl: z.url({ protocol: /^https?$/, error: "must be an http:// or https:// address" }).optional(),
  /** Absent: an embedded PostgreSQL in the data directory. */
  databaseUrl: z.url({ protocol: /^postgres(ql)?$/, error: "must be a postgresql:// address" }).optional(),
  /** Absent: a managed nats-server. */
  natsUrl: z.string().optional(),
  /** Where the managed nats-server listens for agents. */
  natsListen: hostPort.prefault("127.0.0.1:4222"),
  /**
   * TLS to agents. auto: whenever natsListen is not a loopback address, with an authority of the coordinator's own that
   * agents learn with their enrolment token. Files instead: `{ cert, key, ca }`; with natsUrl `ca` alone.
   */
  natsTls: z
    .union([
      z.enum(["auto", "on", "off"]),
      z.strictObject({ cert: z.string().optional(), key: z.string().optional(), ca: z.string() }),
    ])
    .default("auto"),
  /** Where the managed nats-server also takes agents over WebSocket, for networks that let only 443 out. */
  natsWebsocket: hostPort.optional(),
  /** A public page on which anybody may see whether and why his address is banned. */
  selfCheck: z.boolean().default(true),
  /** Whom that page tells to ask. */
  selfCheckContact: z.string().max(200).default("the operator of the server you wanted to reach"),
  /** A proxy before us says in X-Forwarded-For who the visitor is. Never without one: visitors would say it. */
  behindProxy: z.boolean().default(false),
  /** What enrolment tokens tell agents to connect to, several with commas; absent: the listening address. */
  natsPublicUrl: z.string().optional(),
  /**
   * An address of a documentation range that every host is ordered to stop. It shows in every host's set, and hosts that
   * can ask their firewall do: one that does not stop it is shown as not enforcing.
   */
  canary: z
    .union([
      z.literal("off"),
      z
        .string()
        .refine(
          (text) => isDocumentation(text),
          "must be an address of 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 or 2001:db8::/32, or off",
        ),
    ])
    .default("198.51.100.0"),
  /**
   * Where countries and network owners are looked up, on this machine only. auto: the data packages, where they are
   * installed; off; or a file of your own in MaxMind's DB format, which is read anew when it changes.
   */
  addressData: z
    .strictObject({ country: z.string().min(1).default("auto"), networkOwner: z.string().min(1).default("auto") })
    .prefault({}),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

const documentationNets = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"].flatMap(
  (text) => parseNet(text) ?? [],
);

function isDocumentation(text: string): boolean {
  const net = parseNet(text);
  return net !== undefined && documentationNets.some((range) => contains(range, net));
}

export type ServerConfig = Readonly<z.infer<typeof ServerYaml>>;

const optionFields = {
  "data-dir": "dataDir",
  http: "http",
  "public-url": "publicUrl",
  "database-url": "databaseUrl",
  "nats-url": "natsUrl",
  "nats-listen": "natsListen",
  "nats-public-url": "natsPublicUrl",
  "nats-tls": "natsTls",
  "nats-websocket": "natsWebsocket",
  "log-level": "logLevel",
} as const;

export const serverHelp: CommandHelp = {
  usage: "fleet2ban-server [nats-config] [options]",
  about:
    "The coordinator: adds up failures across hosts, decides bans and pushes them to every agent. Without options it\n" +
    "runs its own PostgreSQL and nats-server in ./data and serves the dashboard and API on 127.0.0.1:8080.\n" +
    "`nats-config` prints the configuration that a nats-server of your own must run, for --nats-url.",
  options: {
    config: { value: "FILE", help: "YAML file with the same settings (dataDir, http, databaseUrl, …)" },
    "data-dir": { value: "DIR", help: "keys, embedded database and bus (default ./data)" },
    http: { value: "HOST:PORT", help: "dashboard and API (default 127.0.0.1:8080)" },
    "public-url": { value: "URL", help: "where people reach them, when several coordinators share a fleet" },
    "database-url": { value: "URL", help: "use this PostgreSQL instead of the embedded one" },
    "nats-url": { value: "URL", help: "use this nats-server instead of a managed one" },
    "nats-listen": {
      value: "HOST:PORT",
      help: "where the managed nats-server listens for agents (default 127.0.0.1:4222)",
    },
    "nats-public-url": { value: "URLS", help: "what enrolment tokens tell agents to connect to, with commas" },
    "nats-tls": {
      value: "WHEN",
      help: "auto (beyond loopback, the default), on or off; files: natsTls in the settings",
    },
    "nats-websocket": { value: "HOST:PORT", help: "also take agents over WebSocket here, for example 0.0.0.0:443" },
    "log-level": { value: "LEVEL", help: "debug, info, warn or error (default info)" },
  },
};

/**
 * Options win over the environment (`FLEET2BAN_DATABASE_URL` …), the environment over the file.
 *
 * @returns null when `--help` was printed
 * @throws Fleet2banError `invalid` naming the option or file, the field and the remedy
 */
export function loadServerConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: (text: string) => void,
): ServerConfig | null {
  const line = parseCommandLine(args, serverHelp);
  if (line.help) {
    print(formatHelp(serverHelp));
    return null;
  }
  const file = line.text("config");
  const merged: Record<string, unknown> = { ...(file === undefined ? {} : readYaml(file)) };
  for (const [option, field] of Object.entries(optionFields)) {
    const value = line.text(option) ?? env[`FLEET2BAN_${option.toUpperCase().replaceAll("-", "_")}`];
    if (value !== undefined && value !== "") merged[field] = value;
  }
  const read = ServerYaml.safeParse(merged);
  if (!read.success) {
    const problems = read.error.issues.map((issue) => `${placeOf(issue.path, line, file)}${issue.message}`);
    throw new Fleet2banError("invalid", problems.join("; "));
  }
  const { dataDir } = read.data;
  return { ...read.data, dataDir: isAbsolute(dataDir) ? dataDir : resolve(dataDir) };
}

function placeOf(path: readonly PropertyKey[], line: Parsed, file: string | undefined): string {
  const field = path.join(".");
  const option = Object.entries(optionFields).find(([, name]) => name === field)?.[0];
  if (option !== undefined && line.text(option) !== undefined) return `--${option}: `;
  return `${file ?? "settings"}: ${field === "" ? "" : `${field}: `}`;
}

function readYaml(file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(readFileSync(file, "utf8"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new Fleet2banError("invalid", `${file}: cannot be read as YAML: ${why}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Fleet2banError("invalid", `${file}: must hold "name: value" lines, one setting each`);
  }
  return { ...value };
}
