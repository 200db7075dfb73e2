import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { openBridge } from "./http-bridge.ts";
import { type LiveHost, type LiveHostOptions, makeLiveHost } from "./live-host.ts";
import { openNetwork, type TestNetwork } from "./namespaces.ts";
import { type Program, startProgram } from "./program.ts";
import { waitFor } from "./wait-for.ts";

export type { LiveHost } from "./live-host.ts";

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
    /** One statement straight to the coordinator's PostgreSQL. */
    query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
    /** The process id of the coordinator's own PostgreSQL or nats-server; undefined when it does not run. */
    childPid(child: "postgres" | "nats"): number | undefined;
  }>;

export type LiveFleetOptions = LiveHostOptions &
  Readonly<{
    hosts: number;
    /** Use namespaces; needs root. */
    namespaces: boolean;
    /** Where the dashboard is to be found on this machine; port 0 = any. */
    httpPort?: number;
    serverArgs?: readonly string[];
  }>;

export async function openLiveFleet(options: LiveFleetOptions): Promise<LiveFleet> {
  await using opened = new AsyncDisposableStack();
  const workDir = mkdtempSync(join(tmpdir(), "fleet2ban-live-"));
  // `FLEET2BAN_TEST_KEEP=1` leaves logs and state for whoever looks why a test failed.
  if (process.env.FLEET2BAN_TEST_KEEP === undefined) {
    opened.defer(() => rmSync(workDir, { recursive: true, force: true }));
  }
  const dataDir = join(workDir, "coordinator");
  opened.use(killLeftOver(dataDir));
  const network = options.namespaces
    ? opened.adopt(openNetwork(options.hosts + 1), (each) => each[Symbol.dispose]())
    : null;
  const home = network?.hosts[options.hosts] ?? null;
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
  const queries = opened.use(openQueries(dataDir));
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

  const hosts = Array.from({ length: options.hosts }, (_, index) =>
    makeLiveHost(`host${index + 1}`, network?.hosts[index] ?? null, workDir, options),
  );
  await Promise.all(
    hosts.map(async (host) => {
      const { token: enrollment } = await api<{ token: string }>("POST", "/enrollment-tokens", { host: host.name });
      const { code, stderr } = await host.run("enroll", enrollment);
      if (code !== 0) throw new Error(`${host.name} could not enrol: ${stderr}`);
      host.start();
      opened.defer(() => host.agent()[Symbol.asyncDispose]());
    }),
  );
  await Promise.all(
    hosts.map((host) => waitFor(async () => (await host.status()).fleet?.inSync, `${host.name} to be in step`, 60_000)),
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
    query: (sql, values) =>
      waitFor(() => queries.ask<never>(sql, values ?? []).catch(databaseAway), "the database's answer", 60_000),
    childPid: (child) => childPid(dataDir, child),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

type Query = <Row extends object>(sql: string, values: readonly unknown[]) => Promise<Row[]>;

/** One connection for all questions, and another one when it broke: to log in costs more than to ask. */
function openQueries(dataDir: string): AsyncDisposable & Readonly<{ ask: Query }> {
  let open: Promise<pg.Client> | undefined;
  const connect = async (): Promise<pg.Client> => {
    const password = readFileSync(join(dataDir, "postgres-password"), "utf8").trim();
    const client = new pg.Client({
      user: "fleet2ban",
      database: "fleet2ban",
      password,
      host: join(dataDir, "postgres"),
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  const close = async (client: Promise<pg.Client> | undefined): Promise<void> => {
    await client?.then((each) => each.end()).catch(() => undefined);
  };
  return {
    async ask<Row extends object>(sql: string, values: readonly unknown[]) {
      open ??= connect();
      const client = open;
      try {
        return (await (await client).query<Row>(sql, [...values])).rows;
      } catch (error) {
        if (open === client) open = undefined;
        await close(client);
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => close(open),
  };
}

/** Not yet, or not again: it was killed and recovers. */
function databaseAway(error: unknown): undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (error instanceof Error && /Connection terminated|not queryable|was closed/.test(error.message)) return undefined;
  if (["ENOENT", "ECONNREFUSED", "ECONNRESET", "57P01", "57P02", "57P03"].includes(String(code))) return undefined;
  throw error;
}

const pidFiles = { postgres: "postgres/cluster/postmaster.pid", nats: "nats/nats.pid" } as const;

/** By its pid file, if that process really runs with this data directory. */
function childPid(dataDir: string, child: keyof typeof pidFiles): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDir, pidFiles[child]), "utf8").split("\n")[0]);
    return pid > 1 && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(dataDir) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** PostgreSQL and nats-server outlive a coordinator that was killed; they must not outlive the test. */
function killLeftOver(dataDir: string): Disposable {
  const kill = () => {
    for (const child of ["postgres", "nats"] as const) {
      const pid = childPid(dataDir, child);
      if (pid !== undefined) process.kill(pid, "SIGKILL");
    }
  };
  process.on("exit", kill);
  return {
    [Symbol.dispose]() {
      process.off("exit", kill);
      kill();
    },
  };
}

export async function freePorts(count: number): Promise<number[]> {
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
