import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { canaryBanId } from "../../shared/order.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";
import { cpuSeconds, cpuSecondsOfTree, memoryMb, ownCpuSeconds } from "./cpu-seconds.ts";
import type { AgentsOrder } from "./fleet-agents.ts";
import { type Bench, hear, openBench, secondsSince, untilTrue } from "./fleet-bench.ts";

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
    whole: { value: "N", help: "agents that run the whole order code (default 4)" },
    plain: { help: "without TLS" },
    json: { help: "only the JSON line" },
  },
};

/** Agents that begin with nothing; the rest has what a restarted agent has kept. */
const coldMax = 1_000;
const canary = "198.51.100.0/32";
/** The coordinator's code is compiled by its first requests. */
const warmUps = 5;

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
  const shape = { agents, bans, processes: number("processes", 2), whole: number("whole", 4), tls: !line.on("plain") };
  await using bench = await openBench(shape);
  const cold = Math.min(agents, coldMax);
  const before = bench.cpu();
  const coldSeconds = await bench.start(cold, null);
  const coldCpuSeconds = cpuBetween(before, bench.cpu());
  say(`${cold} cold agents in step after ${coldSeconds} s, CPU seconds: ${JSON.stringify(coldCpuSeconds)}`);
  if (agents > cold) say(`the others after ${await bench.start(agents - cold, await bench.position())} s`);
  const spread = await timeBans(bench, number("samples", 30));
  say(JSON.stringify(spread));
  const idle = await measureIdle(bench, number("idle", 20));
  say(JSON.stringify(idle));
  const nats = memoryMb(bench.natsPid());
  const beforeResync = bench.cpu();
  const resyncSeconds = await restartNats(bench);
  // The new nats-server began with nothing.
  const resyncCpuSeconds = cpuBetween({ ...beforeResync, nats: 0 }, bench.cpu());
  say(`in step ${resyncSeconds} s after nats-server was killed`);
  const diverged = await countDiverged(bench);
  const result = {
    ...{ agents, bans, ...idle, ...spread, resyncSeconds, coldSeconds, natsRssMb: nats.rssMb },
    // Of the one that was killed and of the one after it: cold agents, and a whole fleet that comes back.
    natsPeakRssMb: Math.max(nats.peakMb, memoryMb(bench.natsPid()).peakMb),
    coordinatorRssMb: memoryMb(bench.coordinator.pid).rssMb,
    ...{
      diverged,
      coldAgents: cold,
      coldCpuSeconds,
      resyncCpuSeconds,
      tls: !line.on("plain"),
      wholeAgents: bench.whole(),
      loadAverage: loadavg()[0],
    },
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (diverged > 0) throw new Fleet2banError("internal", `${diverged} agents hold another set than the database`);
  return exitCodes.ok;
}

function cpuBetween(before: ReturnType<Bench["cpu"]>, after: ReturnType<Bench["cpu"]>) {
  const used = (part: keyof typeof after) => Math.round((after[part] - before[part]) * 100) / 100;
  return { coordinator: used("coordinator"), nats: used("nats"), agents: used("agents") };
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
    ownCpuSeconds(bench.coordinator.pid),
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
  const isNewest = (position: string) => Number(position.split(" ")[1]) > revision;
  const arrived = async () =>
    (await bench.inStep()) && (await bench.ask()).every(({ positions }) => Object.keys(positions).every(isNewest));
  await untilTrue(arrived, "all agents to be in step again");
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
