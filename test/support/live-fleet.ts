import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AgentStatus } from "../../agent/status.ts";
import { openBridge } from "./http-bridge.ts";
import { openNetwork, type TestHost, type TestNetwork } from "./namespaces.ts";
import { type Program, runProgram, startProgram } from "./program.ts";
import { waitFor } from "./wait-for.ts";

const builtIn = fileURLToPath(new URL("../../agent/settings/built-in", import.meta.url));
const agentMain = "agent/main.ts";
const serverMain = "server/main.ts";

/**
 * A whole fleet of real programs: a coordinator with its own PostgreSQL and nats-server, and agents with logs of their
 * own. In network namespaces (as root) each host has its own firewall; otherwise the agents only observe.
 */
export type LiveFleet = AsyncDisposable &
  Readonly<{
    /** null without root. */
    network: TestNetwork | null;
    hosts: readonly LiveHost[];
    coordinator(): Program;
    /** Where this machine reaches the dashboard. */
    url: string;
    token: string;
    dataDir: string;
    workDir: string;
    /** One request to the API; throws on any answer but 2xx. */
    api<T>(method: string, path: string, body?: unknown): Promise<T>;
    startCoordinator(): Promise<void>;
  }>;

export type LiveHost = Readonly<{
  name: string;
  /** Its namespace; null without root. */
  place: TestHost | null;
  logFile: string;
  agent(): Program;
  start(): void;
  append(...lines: readonly string[]): void;
  status(): Promise<AgentStatus>;
}>;

export type LiveFleetOptions = Readonly<{
  hosts: number;
  /** Use namespaces; needs root. */
  namespaces: boolean;
  /** `jail.local` of every host, with `LOGFILE` in place of its log. */
  jailLocal?: string;
  /** More lines of agent.yaml. */
  agentYaml?: string;
  /** Where the dashboard is to be found on this machine; port 0 = any. */
  httpPort?: number;
  serverArgs?: readonly string[];
}>;

const defaultJail = "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 50\n";

export async function openLiveFleet(options: LiveFleetOptions): Promise<LiveFleet> {
  await using opened = new AsyncDisposableStack();
  const workDir = mkdtempSync(join(tmpdir(), "fleet2ban-live-"));
  opened.defer(() => rmSync(workDir, { recursive: true, force: true }));
  const network = options.namespaces
    ? opened.adopt(openNetwork(options.hosts + 1), (each) => each[Symbol.dispose]())
    : null;
  const home = network?.hosts[options.hosts] ?? null;
  const dataDir = join(workDir, "coordinator");
  const [busPort, httpPort] = home === null ? await freePorts(2) : [4222, 8080];
  const address = home?.ipv4 ?? "127.0.0.1";
  const innerUrl = `http://${address}:${httpPort}`;

  let program: Program | undefined;
  let token = "";
  const startCoordinator = async () => {
    const port = home === null && options.httpPort ? options.httpPort : httpPort;
    const args = ["--data-dir", dataDir, "--http", `${address}:${port}`, "--nats-listen", `${address}:${busPort}`];
    program = startProgram(serverMain, [...args, ...(options.serverArgs ?? [])], {
      prefix: home?.prefix ?? [],
      errorLog: join(workDir, "coordinator.log"),
    });
    await program.line(/coordinator: http/);
    token = /f2b_[\w-]+/.exec(program.stdout())?.[0] ?? token;
  };
  opened.defer(() => program?.[Symbol.asyncDispose]());
  await startCoordinator();
  await waitFor(() => program?.stdout().includes("f2b_"), "the first admin token");
  token = /f2b_[\w-]+/.exec(program?.stdout() ?? "")?.[0] ?? "";
  const url =
    home === null
      ? innerUrl.replace(String(httpPort), String(options.httpPort || httpPort))
      : opened.use(await openBridge(home, innerUrl, options.httpPort ?? 0, workDir)).url;

  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  const hosts: LiveHost[] = [];
  for (let index = 0; index < options.hosts; index += 1) {
    const place = network?.hosts[index] ?? null;
    const name = `host${index + 1}`;
    const { token: enrollment } = await api<{ token: string }>("POST", "/enrollment-tokens", { host: name });
    const host = await makeHost(name, place, join(workDir, name), enrollment, options);
    opened.defer(() => host.agent()[Symbol.asyncDispose]());
    hosts.push(host);
  }
  await Promise.all(
    hosts.map((host) => waitFor(async () => (await host.status()).fleet?.inSync, `${host.name} to be in step`, 30_000)),
  );
  const closing = opened.move();
  return {
    ...{ network, hosts, url, dataDir, workDir, api, startCoordinator },
    get token() {
      return token;
    },
    coordinator: () => {
      if (program === undefined) throw new Error("the coordinator was not started");
      return program;
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

async function makeHost(
  name: string,
  place: TestHost | null,
  folder: string,
  enrollment: string,
  options: LiveFleetOptions,
): Promise<LiveHost> {
  const logFile = join(folder, "auth.log");
  const configDir = join(folder, "fail2ban");
  const config = join(folder, "agent.yaml");
  mkdirSync(folder);
  cpSync(builtIn, configDir, { recursive: true });
  writeFileSync(join(configDir, "jail.local"), (options.jailLocal ?? defaultJail).replaceAll("LOGFILE", logFile));
  writeFileSync(logFile, "");
  const lines = [
    `stateDir: ${join(folder, "state")}`,
    `credentials: ${join(folder, "credentials.json")}`,
    `configDir: ${configDir}`,
    `firewall: ${place === null ? "observe" : "nftables"}`,
    options.agentYaml ?? "",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const prefix = place?.prefix ?? [];
  const enrolled = await runProgram(agentMain, ["enroll", enrollment, "--config", config], { prefix });
  if (enrolled.code !== 0) throw new Error(`${name} could not enrol: ${enrolled.stderr}`);
  const launch = () =>
    startProgram(agentMain, ["run", "--config", config], { prefix, errorLog: join(folder, "agent.log") });
  let agent = launch();
  return {
    name,
    place,
    logFile,
    agent: () => agent,
    start: () => {
      agent = launch();
    },
    append: (...texts) => appendFileSync(logFile, texts.map((text) => `${text}\n`).join("")),
    async status() {
      for (;;) {
        const { code, stdout } = await runProgram(agentMain, ["status", "--json", "--config", config], { prefix });
        if (code === 0) return JSON.parse(stdout) as AgentStatus;
        await waitFor(() => true, "the agent's next answer");
      }
    },
  };
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** A failed login as OpenSSH logs it. */
export function failedLogin(host: string, address: string, atMs: number, user = "root"): string {
  const time = new Date(atMs).toISOString().replace("Z", "000+00:00");
  return `${time} ${host} sshd[${4000 + (atMs % 5000)}]: Failed password for ${user} from ${address} port 40022 ssh2`;
}
