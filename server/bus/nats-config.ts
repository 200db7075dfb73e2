import { streamBytesMax } from "./jwt.ts";

/**
 * The configuration of a nats-server for a fleet, as text. The managed child runs with it, and so does a server of your
 * own. Pure: the same settings give the same text.
 */
export type NatsSettings = Readonly<{
  host: string;
  /** 0 = any free port, told in `portsDir`. */
  port: number;
  /** Folder of the account resolver and of JetStream. */
  dataDir: string;
  /** Where a managed one says how to find it; null = it is not managed. */
  managed: Readonly<{ pidFile: string; portsDir: string }> | null;
  operatorJwt: string;
  systemAccount: Readonly<{ publicKey: string; jwt: string }>;
  /**
   * `jwt` must be the newest there is: a server whose own folder is empty believes this one, and with an old one it
   * would let a revoked agent in again.
   */
  account: Readonly<{ publicKey: string; jwt: string }>;
  tls: Readonly<{ certFile: string; keyFile: string }> | null;
  /** For agents behind firewalls that let only 443 out. */
  websocket: Readonly<{ host?: string; port: number }> | null;
}>;

/** Connections are 65 kB each with TLS: 20 000 are 1.3 GB, and twice the agents one coordinator is made for. */
const connectionsMax = 20_000;
/** Frames are at most 256 kB and batches 64 kB; account JWTs with 10 000 revocations are 1 MB. */
const payloadBytesMax = 1024 * 1024;
/** A reader this far behind is cut off. 50 stopped readers cost 111 MB with it, 1.9 GB with the server's default. */
const pendingBytesMax = 2 * 1024 * 1024;
/**
 * What is being written to a reader must be with him by then, or he is cut off and asks for what he missed. It is also how
 * long nats-server 2.9 makes whoever writes to a full reader wait, and with him all the others he has something for.
 */
const writeDeadline = "1s";
/**
 * For the handshake. Ten thousand agents that come back at once need 12 CPU seconds of the server; with less time than
 * that, handshakes that were begun are given up and begun again, and the fleet comes back the later the larger it is.
 */
const handshakeSecondsMax = 15;
/** Our longest subject is 120 bytes; the rest of a control line is a CONNECT with a JWT, which is exempt. */
const controlLineBytesMax = 4096;

/**
 * A bound, not memory that is set aside. The server counts what the account may use once more when the account is handed
 * in while it starts, and an account that finds no room has no JetStream until it is handed in again: so there is room for
 * several times of it. Source: tried with 2.9.10, "Error configuring jetstream for account".
 */
const memoryBytesMax = 8 * streamBytesMax;

/**
 * What it is to find in its environment. Garbage may be half of what is in use, and not as much again: most of a server
 * with ten thousand agents is what it knows of them, and stays.
 */
export const natsEnvironment = { GOGC: "50" } as const;

export function natsConfig(settings: NatsSettings): string {
  const port = settings.port === 0 ? -1 : settings.port;
  const lines = [
    `server_name: fleet2ban`,
    `host: ${quoted(settings.host)}`,
    `port: ${port}`,
    // Monitoring has no password: never beyond this machine, and on whatever port is free.
    `http: "127.0.0.1:-1"`,
    `jetstream { store_dir: ${quoted(`${settings.dataDir}/js`)}, max_memory_store: ${memoryBytesMax}, max_file_store: 2GB }`,
    `operator: ${quoted(settings.operatorJwt)}`,
    `system_account: ${settings.systemAccount.publicKey}`,
    `resolver { type: full, dir: ${quoted(`${settings.dataDir}/jwt`)}, allow_delete: true, interval: "2m", limit: 1000 }`,
    "resolver_preload {",
    `  ${settings.systemAccount.publicKey}: ${quoted(settings.systemAccount.jwt)}`,
    `  ${settings.account.publicKey}: ${quoted(settings.account.jwt)}`,
    "}",
    `max_payload: ${payloadBytesMax}`,
    `max_pending: ${pendingBytesMax}`,
    `max_control_line: ${controlLineBytesMax}`,
    `max_connections: ${connectionsMax}`,
    `write_deadline: "${writeDeadline}"`,
    // A host that vanished without a word is noticed within three minutes.
    `ping_interval: "1m"`,
    `ping_max: 2`,
    `lame_duck_grace_period: "1s"`,
    `lame_duck_duration: "30s"`,
  ];
  if (settings.managed !== null) {
    const { pidFile, portsDir } = settings.managed;
    lines.push(`pid_file: ${quoted(pidFile)}`, `ports_file_dir: ${quoted(portsDir)}`);
  }
  if (settings.tls !== null) lines.push(`tls ${tlsBlock(settings.tls)}`);
  if (settings.websocket !== null) {
    // Compression off: it has let strangers exhaust the server before they said who they are.
    const secure = settings.tls === null ? "no_tls: true" : `tls ${tlsBlock(settings.tls)}`;
    lines.push(
      `websocket { host: ${quoted(settings.websocket.host ?? settings.host)}, port: ${settings.websocket.port}, compression: false, ${secure} }`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function tlsBlock(tls: Readonly<{ certFile: string; keyFile: string }>): string {
  return `{ cert_file: ${quoted(tls.certFile)}, key_file: ${quoted(tls.keyFile)}, timeout: ${handshakeSecondsMax} }`;
}

/** A string of NATS's configuration language; JSON's escapes are a part of its own. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
