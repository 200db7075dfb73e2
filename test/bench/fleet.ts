import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { agentJwt } from "../../server/bus/jwt.ts";
import { type BusKeys, loadBusKeys } from "../../server/bus/keys.ts";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { canaryBanId } from "../../shared/order.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";
import { freePorts } from "../support/live-fleet.ts";
import { startProgram } from "../support/program.ts";
import { waitFor } from "../support/wait-for.ts";
import { cpuSeconds, cpuSecondsOfTree, memoryMb } from "./cpu-seconds.ts";
import type { AgentsOrder, AgentsReport } from "./fleet-agents.ts";
import { fastUserKey } from "./nats-line.ts";

const help: CommandHelp = {
  usage: "npm run bench:fleet -- [options]",
  about:
    "How a whole fleet stays in step: a real coordinator with its PostgreSQL and nats-server, TLS and credentials as in\n" +
    "production, and many agents in few processes. Some run the agent's whole order code; the others check signatures,\n" +
    "revisions and hashes of the same frames with shared memory, pause, spread, ask and report as agents do. Prints JSON:\n" +
    "agents, bans, idleCores (coordinator, PostgreSQL and nats-server together), banP50Ms and banP99Ms (from the request\n" +
    "to the last agent), resyncSeconds (nats-server killed, a ban in between, until all are in step), coldSeconds (up to\n" +
    "1000 agents that know nothing, from their first connect), natsRssMb, coordinatorRssMb, diverged (agents whose set's\n" +
    "hash is not the database's).",
  options: {
    agents: { value: "N", help: "agents (default 1000)" },
    bans: { value: "N", help: "active bans (default 10000)" },
    samples: { value: "N", help: "bans that are timed (default 30)" },
    idle: { value: "SECONDS", help: "how long idleness is measured (default 20)" },
    processes: { value: "N", help: "processes the agents are in (default 2)" },
    plain: { help: "without TLS" },
    json: { help: "only the JSON line" },
  },
};

/** Agents that begin with nothing; the rest has what a restarted agent has kept. */
const coldMax = 1_000;
/** Standing orders that one process's whole agents hold together: 300 MB. */
const wholeOrdersMax = 1_000_000;
/** The order log's end is kept, as after days of running. */
const ordersKept = 20_000;
const canary = "198.51.100.0/32";
/** The coordinator's code is compiled by its first requests. */
const warmUps = 5;
const hour = 3_600_000;
const agentsFile = new URL("./fleet-agents.ts", import.meta.url);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:fleet", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const number = (name: string, otherwise: number) => Number(line.text(name) ?? otherwise);
  const say = (text: string) => (line.on("json") ? undefined : process.stdout.write(`${text}\n`));
  const [agents, bans] = [number("agents", 1_000), number("bans", 10_000)];
  await using bench = await openBench(agents, bans, number("processes", 2), !line.on("plain"));
  const cold = Math.min(agents, coldMax);
  const coldSeconds = await bench.start(cold, null);
  say(`${cold} cold agents in step after ${coldSeconds} s`);
  if (agents > cold) say(`the others after ${await bench.start(agents - cold, await bench.position())} s`);
  const spread = await timeBans(bench, number("samples", 30));
  say(JSON.stringify(spread));
  const idle = await measureIdle(bench, number("idle", 20));
  say(JSON.stringify(idle));
  const natsRssMb = memoryMb(bench.natsPid()).rssMb;
  const resyncSeconds = await restartNats(bench);
  say(`in step ${resyncSeconds} s after nats-server was killed`);
  const diverged = await countDiverged(bench);
  const result = {
    ...{ agents, bans, ...idle, ...spread, resyncSeconds, coldSeconds, natsRssMb },
    natsPeakRssMb: memoryMb(bench.natsPid()).peakMb,
    coordinatorRssMb: memoryMb(bench.coordinator.pid).rssMb,
    ...{ diverged, coldAgents: cold, tls: !line.on("plain"), wholeAgents: bench.whole(), loadAverage: loadavg()[0] },
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (diverged > 0) throw new Fleet2banError("internal", `${diverged} agents hold another set than the database`);
  return exitCodes.ok;
}

type Bench = Awaited<ReturnType<typeof openBench>>;
type Position = Readonly<{ epoch: number; revision: number; hash: string }>;

async function openBench(agents: number, bans: number, processes: number, tls: boolean) {
  await using opened = new AsyncDisposableStack();
  const dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-bench-"));
  opened.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const [port = 0] = await freePorts(1);
  const listen = ["--http", "127.0.0.1:0", "--nats-listen", `127.0.0.1:${port}`, "--nats-tls", tls ? "on" : "off"];
  const start = async () => {
    const program = startProgram("server/main.ts", ["--data-dir", dataDir, ...listen, "--log-level", "error"]);
    const [, url = ""] = await program.line(/coordinator: (http\S+)/, 300_000);
    return { program, url };
  };
  const first = await start();
  const token = (await first.program.line(/(f2b_[\w-]+)/))[1] ?? "";
  const users = Array.from({ length: agents }, (_, index) => ({ host: `host-${index}`, ...fastUserKey() }));
  await prepare(dataDir, users, bans);
  // The second one finds the fleet and its bans.
  await first.program[Symbol.asyncDispose]();
  const { program: coordinator, url } = await start();
  opened.use(coordinator);
  const keys = loadBusKeys(dataDir);
  const ca = tls ? readFileSync(join(dataDir, "keys", "bus-ca.pem"), "utf8") : null;
  const children: ChildProcess[] = [];
  opened.defer(() => {
    for (const child of children) child.disconnect();
  });
  let started = 0;
  let whole = 0;
  const pidOf = (file: string) => Number(readFileSync(join(dataDir, file), "utf8").split("\n")[0]);
  const ask = (): Promise<Extract<AgentsReport, { said: "state" }>[]> => Promise.all(children.map(askState));
  const closing = opened.move();
  return {
    ...{ coordinator, dataDir, url, token, children, ask },
    whole: () => whole,
    natsPid: () => pidOf("nats/nats.pid"),
    postgresPid: () => pidOf("postgres/cluster/postmaster.pid"),
    /** Seconds until all agents that have been started are in step. */
    async start(count: number, known: Position | null): Promise<number> {
      const some = users.slice(started, started + count);
      started += count;
      const each = Math.ceil(count / processes);
      const wholeEach = known === null ? Math.min(Math.ceil(each / 50), Math.floor(wholeOrdersMax / (bans + 1))) : 0;
      const groups = Array.from({ length: processes }, (_, index) => some.slice(index * each, (index + 1) * each));
      const fresh: ChildProcess[] = [];
      for (const group of groups) {
        const child = fork(agentsFile, { execArgv: ["--disable-warning=ExperimentalWarning"] });
        fresh.push(child);
        whole += Math.min(wholeEach, group.length);
        const place = { host: "127.0.0.1", port, ca };
        child.send({
          do: "start",
          place,
          orderKey: keys.ordersPublic,
          ...fleetOf(group, keys),
          whole: wholeEach,
          known,
        });
      }
      await Promise.all(fresh.map(askState));
      children.push(...fresh);
      const startedMs = performance.now();
      for (const child of fresh) child.send({ do: "connect" } satisfies AgentsOrder);
      await waitFor(() => allInStep(ask, started), "all agents to be in step", 600_000);
      return secondsSince(startedMs);
    },
    async position(): Promise<Position> {
      const [state] = await ask();
      const [epoch = "0", revision = "0", hash = ""] = Object.keys(state?.positions ?? {})[0]?.split(" ") ?? [];
      return { epoch: Number(epoch), revision: Number(revision), hash };
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function fleetOf(group: readonly Readonly<{ host: string } & ReturnType<typeof fastUserKey>>[], keys: BusKeys) {
  const users = group.map(({ host, publicKey, signingKey }) => ({
    host,
    jwt: agentJwt(keys, { publicKey, host, tenant: "default" }, Date.now()),
    key: signingKey.export({ type: "pkcs8", format: "der" }).toString("base64"),
  }));
  return { tenant: "default", users } satisfies Partial<AgentsOrder>;
}

/** A fleet that has been running: its hosts, its bans, and the end of its order log. */
async function prepare(
  dataDir: string,
  users: readonly Readonly<{ host: string; publicKey: string }>[],
  bans: number,
): Promise<void> {
  const password = readFileSync(join(dataDir, "postgres-password"), "utf8").trim();
  const place = { user: "fleet2ban", database: "fleet2ban", password, host: join(dataDir, "postgres") };
  const database = new pg.Client(place);
  await database.connect();
  try {
    await database.query(
      "insert into hosts (host, tenant, public_key, enrolled_ms) select host, 'default', key, 0 from unnest($1::text[], $2::text[]) as each(host, key)",
      [users.map(({ host }) => host), users.map(({ publicKey }) => publicKey)],
    );
    const rows = Array.from({ length: bans }, (_, index) => ({
      id: index + 1,
      net: netOf((index * 40_503) % 4_194_301),
      until: Date.now() + 24 * hour + index * 1_000,
    }));
    await database.query(
      `insert into bans (id, net, scope, level, started_ms, until_ms, reason, evidence, vote, made_by, start_revision)
       select id, net::cidr, 'fleet', null, 0, until, 'admin', '{"hosts":0,"tenants":0,"failures":0,"sources":[]}', false, 'bench', id
       from json_to_recordset($1) as each(id bigint, net text, until bigint)`,
      [JSON.stringify(rows)],
    );
    const orders = rows.slice(-ordersKept).map(({ id, net, until }) => {
      const order = { kind: "ban", id, net, untilMs: until, ports: null, level: null };
      return { revision: id, order };
    });
    await database.query(
      `insert into orders (scope, revision, at_ms, "order")
       select 'fleet', revision, 0, "order" from json_to_recordset($1) as each(revision bigint, "order" jsonb)`,
      [JSON.stringify(orders)],
    );
    await database.query("insert into scopes (scope, revision) values ('fleet', $1)", [bans]);
  } finally {
    await database.end();
  }
}

/** Documentation networks only; each a /64, which is what the coordinator bans of IPv6. */
function netOf(index: number): string {
  return `2001:db8:${(index >>> 16).toString(16)}:${(index & 0xffff).toString(16)}::/64`.replace(":0::/64", "::/64");
}

function askState(child: ChildProcess): Promise<Extract<AgentsReport, { said: "state" }>> {
  const answer = hear(child, "state");
  child.send({ do: "report" } satisfies AgentsOrder);
  return answer;
}

function hear<Said extends AgentsReport["said"]>(child: ChildProcess, said: Said) {
  const heard = Promise.withResolvers<Extract<AgentsReport, { said: Said }>>();
  const listen = (report: AgentsReport) => {
    if (report.said !== said) return;
    child.off("message", listen);
    heard.resolve(report as Extract<AgentsReport, { said: Said }>);
  };
  child.on("message", listen);
  return heard.promise;
}

async function allInStep(
  ask: () => Promise<readonly Extract<AgentsReport, { said: "state" }>[]>,
  count: number,
): Promise<boolean> {
  const states = await ask();
  return states.reduce((sum, { agents }) => sum + agents, 0) === count && states.every(isInStep);
}

function isInStep({ agents, inSync }: Extract<AgentsReport, { said: "state" }>): boolean {
  return agents === inSync;
}

/** One ban by hand. @returns when it was asked for */
async function ban({ url, token }: Bench, net: string): Promise<number> {
  const askedMs = Date.now();
  const response = await fetch(`${url}/api/v1/bans`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ net, scope: "fleet", bantime: "1h", reason: "bench" }),
  });
  if (!response.ok) throw new Error(`ban: ${response.status} ${await response.text()}`);
  return askedMs;
}

async function timeBans(bench: Bench, samples: number) {
  const times: number[] = [];
  let { revision } = await bench.position();
  for (let index = -warmUps; index < samples; index += 1) {
    await sleep(200 + Math.random() * 300);
    revision += 1;
    const reached = Promise.all(bench.children.map((child) => hear(child, "reached")));
    for (const child of bench.children) child.send({ do: "watch", revision } satisfies AgentsOrder);
    const askedMs = await ban(bench, `2001:db8:fff0:${(index + 0x100).toString(16)}::/64`);
    const reachedMs = Math.max(...(await reached).map(({ atMs }) => atMs));
    if (index >= 0) times.push(reachedMs - askedMs);
  }
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.min(times.length - 1, Math.ceil(times.length * share) - 1)] ?? 0;
  return { banP50Ms: at(0.5), banP99Ms: at(0.99) };
}

async function measureIdle(bench: Bench, seconds: number) {
  // Reports that follow the last ban are not idleness.
  await sleep(5_000);
  const used = () => [
    cpuSeconds(bench.coordinator.pid),
    cpuSecondsOfTree(bench.postgresPid()),
    cpuSeconds(bench.natsPid()),
  ];
  const before = used();
  const startedMs = performance.now();
  await sleep(seconds * 1_000);
  const passed = (performance.now() - startedMs) / 1_000;
  const cores = used().map((each, index) => Math.round(((each - (before[index] ?? 0)) / passed) * 1_000) / 1_000);
  const [coordinator = 0, postgres = 0, nats = 0] = cores;
  const idleCores = Math.round((coordinator + postgres + nats) * 1_000) / 1_000;
  return { idleCores, idleParts: { coordinator, postgres, nats } };
}

async function restartNats(bench: Bench): Promise<number> {
  const pid = bench.natsPid();
  const { revision } = await bench.position();
  process.kill(pid, "SIGKILL");
  const startedMs = performance.now();
  await ban(bench, "2001:db8:fff1::/64");
  const arrived = async () => {
    const states = await bench.ask();
    const newest = states.every(({ positions }) =>
      Object.keys(positions).every((each) => Number(each.split(" ")[1]) > revision),
    );
    return newest && states.every(isInStep);
  };
  await waitFor(arrived, "all agents to be in step again", 600_000);
  return secondsSince(startedMs);
}

/** Against the database, not against the coordinator. */
async function countDiverged(bench: Bench): Promise<number> {
  const password = readFileSync(join(bench.dataDir, "postgres-password"), "utf8").trim();
  const place = { user: "fleet2ban", database: "fleet2ban", password, host: join(bench.dataDir, "postgres") };
  const database = new pg.Client(place);
  await database.connect();
  const { rows } = await database.query<Omit<Standing, "kind"> & { id: string; until: string | null }>(
    "select id, net::text, until_ms as until, ports, level from bans where scope = 'fleet' and ended_ms is null",
  );
  await database.end();
  const set = new OrderSet();
  const standing = rows.map((row): Standing => {
    const { net, level, ports } = row as unknown as { net: string; level: number | null; ports: number[] | null };
    return {
      kind: "ban",
      id: Number(row.id),
      net,
      untilMs: row.until === null ? null : Number(row.until),
      ports,
      level,
    };
  });
  const proof: Standing = { kind: "ban", id: canaryBanId, net: canary, untilMs: null, ports: null, level: null };
  set.replace([...standing, proof], 0);
  let diverged = 0;
  for (const { positions } of await bench.ask()) {
    for (const [position, count] of Object.entries(positions))
      if (position.split(" ")[2] !== set.hash) diverged += count;
  }
  return diverged;
}

function secondsSince(startedMs: number): number {
  return Math.round((performance.now() - startedMs) / 100) / 10;
}
