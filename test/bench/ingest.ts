import { createPublicKey } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { loadBusKeys } from "../../server/bus/keys.ts";
import { type CommandHelp, formatHelp, parseCommandLine, reportFatal } from "../../shared/command-line.ts";
import { exitCodeOf, exitCodes, Fleet2banError } from "../../shared/errors.ts";
import { decodeOrderFrame } from "../../shared/order-frame.ts";
import { buildBundle } from "../support/bundle.ts";
import { freePorts } from "../support/live-fleet.ts";
import { type Program, startProgram } from "../support/program.ts";
import { waitFor } from "../support/wait-for.ts";
import { cpuSeconds, cpuSecondsOfTree, memoryMb } from "./cpu-seconds.ts";
import { IngestFleet, type Prepared, prepare } from "./ingest-fleet.ts";
import { attackerAddress, IngestTraffic } from "./ingest-traffic.ts";

const help: CommandHelp = {
  usage: "npm run bench:ingest -- [options]",
  about:
    "How many failures a second one coordinator takes in, and how soon it decides: the installed coordinator with its\n" +
    "PostgreSQL (synchronous commits, fsync on) and nats-server, and a fleet that sends batches as agents do, one in\n" +
    "flight each, some of them twice. At the end every line is counted again in the database. Prints JSON:\n" +
    "failuresPerSecond, subjects, rssMb, decisionP50Ms, decisionP99Ms, lost, doubled, startMs of the coordinator before\n" +
    "there were failures and restartMs after them all, and the CPU each part used (coordinator: the one that leads;\n" +
    "others: those that share its work, together).",
  options: {
    agents: { value: "N", help: "agents (default 10000)" },
    coordinators: { value: "N", help: "coordinators that share the work (default 1)" },
    failures: { value: "N", help: "failures of the first part, as fast as they are taken (default 1200000)" },
    subjects: { value: "N", help: "different addresses among them (default 1000000)" },
    decisions: { value: "N", help: "bans timed in the second part (default 100)" },
    server: { value: "FOLDER", help: "a server built before, inside this checkout, instead of this one as it is now" },
    rate: { value: "N", help: "failures a second around them (default 10000)" },
    every: { value: "MS", help: "and how often those that have come up are sent (default 5)" },
    json: { help: "only the JSON line" },
  },
};

/** Node's flags and malloc's setting are those of the systemd unit. */
const unit = readFileSync(new URL("../../server/packaging/fleet2ban-server.service", import.meta.url), "utf8");
const nodeFlags = /^ExecStart=\S+\/node (.*?) \S+\.mjs/m.exec(unit)?.[1] ?? "";
const arenas = /^Environment=MALLOC_ARENA_MAX=(\d+)/m.exec(unit)?.[1] ?? "";
const env = { NODE_OPTIONS: nodeFlags, MALLOC_ARENA_MAX: arenas };

/** Agents send what they have every two seconds. */
const flushMs = 2_000;
/** The publisher collects bans that follow within 50 ms; each is to be one by itself. */
const decisionEveryMs = 200;
const decisionDeadlineMs = 30_000;
/** Longer than an agent waits before it sends again. A fleet that hears nothing for so long will never. */
const silenceMaxMs = 20_000;
const throughputDeadlineMs = 600_000;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFatal("bench:ingest", error, exitCodeOf);
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args, help);
  if (line.help) {
    process.stdout.write(formatHelp(help));
    return exitCodes.ok;
  }
  const number = (name: string, otherwise: number) => Number(line.text(name) ?? otherwise);
  const say = (text: string) => (line.on("json") ? undefined : process.stdout.write(`${text}\n`));
  await using bench = await openBench(number("agents", 10_000), number("coordinators", 1), line.text("server"));
  const subjects = number("subjects", 1_000_000);
  const traffic = new IngestTraffic(subjects);
  const throughput = await measureThroughput(bench, traffic, number("failures", 1_200_000));
  say(`${JSON.stringify(throughput)}`);
  const { rssMb, peakMb } = memoryMb(bench.coordinator.pid);
  const pace = { rate: number("rate", 10_000), everyMs: number("every", 5) };
  const decisions = await measureDecisions(bench, traffic, pace, number("decisions", 100));
  say(`${JSON.stringify(decisions)}`);
  const { lost, doubled } = await countAgain(bench);
  const [known] = await bench.query<{ count: number }>(
    "select count(distinct address)::integer as count from failures",
  );
  // The others would go on without it, and have its database.
  const restartMs = number("coordinators", 1) === 1 ? await bench.restart() : null;
  process.stdout.write(
    `${JSON.stringify({ ...throughput, subjects: known?.count ?? 0, rssMb, peakMb, rssAtStartMb: bench.rssAtStartMb, startMs: bench.startMs, restartMs, ...decisions, lost, doubled, agents: number("agents", 10_000), repeatedBatches: bench.fleet.repeats, loadAverage: loadavg()[0] })}\n`,
  );
  if (lost + doubled > 0) throw new Fleet2banError("internal", `${lost} lines lost and ${doubled} doubled`);
  return exitCodes.ok;
}

type Bench = Awaited<ReturnType<typeof openBench>>;

async function openBench(agents: number, coordinators: number, built?: string) {
  await using opened = new AsyncDisposableStack();
  const server = join(built ?? opened.use(buildBundle("server")).folder, "fleet2ban-server.mjs");
  const dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-bench-"));
  opened.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const [busPort] = await freePorts(1);
  const args = ["--data-dir", dataDir, "--http", "127.0.0.1:0", "--nats-listen", `127.0.0.1:${busPort}`];
  const start = async () => {
    const program = startProgram(server, [...args, "--log-level", "error"], { env });
    await program.line(/coordinator: http/, 120_000);
    return program;
  };
  // The second one finds the fleet and the policy that the database is given in between.
  await using first = await start();
  const hosts = Array.from({ length: agents }, (_, index) => `host-${index}`);
  await fill(await openDatabase(dataDir), hosts);
  await first[Symbol.asyncDispose]();
  const startedMs = performance.now();
  const coordinator = opened.use(await start());
  const startMs = Math.round(performance.now() - startedMs);
  const database = await openDatabase(dataDir);
  opened.defer(() => database.end());
  const query = async <Row extends object>(text: string): Promise<Row[]> => (await database.query<Row>(text)).rows;
  const others: Program[] = [];
  for (let number = 2; number <= coordinators; number += 1)
    others.push(opened.use(await startAnother(server, dataDir, busPort)));
  await waitFor(async () => {
    const [row] = await query<{ owners: number }>("select count(distinct owner)::integer as owners from partitions");
    return row?.owners === coordinators;
  }, "the work to be shared");
  const keys = loadBusKeys(dataDir);
  const fleet = opened.use(await IngestFleet.connect(`nats://127.0.0.1:${busPort}`, keys, hosts));
  const pidIn = (file: string) => Number(readFileSync(join(dataDir, file), "utf8").split("\n")[0]);
  const parts = { postgres: pidIn("postgres/cluster/postmaster.pid"), nats: pidIn("nats/nats.pid") };
  const cpu = () => ({
    coordinator: cpuSeconds(coordinator.pid),
    others: others.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0),
    postgres: cpuSecondsOfTree(parts.postgres),
    nats: cpuSeconds(parts.nats),
    load: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  });
  const { rssMb: rssAtStartMb } = memoryMb(coordinator.pid);
  const closing = opened.move();
  /** With its database and bus: until it has read what it must remember. */
  const restart = async (): Promise<number> => {
    await database.end();
    await coordinator[Symbol.asyncDispose]();
    const againMs = performance.now();
    closing.use(await start());
    return Math.round(performance.now() - againMs);
  };
  return {
    coordinator,
    query,
    fleet,
    keys,
    cpu,
    rssAtStartMb,
    startMs,
    restart,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** One more, on the first one's database and bus; its data directory goes with the first one's. */
async function startAnother(server: string, dataDir: string, busPort: number | undefined): Promise<Program> {
  const own = mkdtempSync(join(dataDir, "another-"));
  cpSync(join(dataDir, "keys"), join(own, "keys"), { recursive: true });
  const password = readFileSync(join(dataDir, "postgres-password"), "utf8").trim();
  const socket = encodeURIComponent(join(dataDir, "postgres"));
  const database = `postgres://fleet2ban:${encodeURIComponent(password)}@localhost/fleet2ban?host=${socket}`;
  const address = ["--database-url", database, "--nats-url", `nats://127.0.0.1:${busPort}`, "--http", "127.0.0.1:0"];
  const program = startProgram(server, ["--data-dir", own, ...address, "--log-level", "error"], { env });
  await program.line(/coordinator: http/, 120_000);
  return program;
}

async function openDatabase(dataDir: string): Promise<pg.Client> {
  const password = readFileSync(join(dataDir, "postgres-password"), "utf8").trim();
  const client = new pg.Client({ user: "fleet2ban", database: "fleet2ban", password, host: join(dataDir, "postgres") });
  await client.connect();
  return client;
}

/** Ten thousand agents, and limits that a hundred times a real fleet's load does not break. */
async function fill(database: pg.Client, hosts: readonly string[]): Promise<void> {
  const policy = "limits: { agent: { subjectsPerMinute: 100000, subjectsPerDay: 1000000 } }";
  await database.query(
    "insert into hosts (host, tenant, public_key, enrolled_ms) select name, 'default', 'U' || name, 0 from unnest($1::text[]) as name",
    [hosts],
  );
  await database.query(
    "insert into policies (version, document, created_ms, created_by) select coalesce(max(version), 0) + 1, $1, 0, 'bench' from policies",
    [policy],
  );
  await database.end();
}

/** As fast as the coordinator acknowledges: an agent that has its acknowledgement sends what has come up since. */
async function measureThroughput({ fleet, cpu }: Bench, traffic: IngestTraffic, failures: number) {
  const prepared: Prepared[] = [];
  for (let made = 0; made < failures; made += prepared.at(-1)?.rows ?? 0)
    prepared.push(prepare(traffic.next(Date.now())));
  const before = cpu();
  const startedMs = performance.now();
  let acknowledged = 0;
  let acknowledgedAtMs = startedMs;
  let sent = 0;
  let next = 0;
  const send = () => {
    for (let batch = prepared[next]; batch !== undefined; batch = prepared[next]) {
      if (!fleet.send(batch)) return;
      sent += batch.rows;
      next += 1;
    }
  };
  fleet.onAcknowledged = (rows) => {
    acknowledged += rows;
    acknowledgedAtMs = performance.now();
    send();
  };
  send();
  const isDone = () => {
    if (performance.now() - acknowledgedAtMs > silenceMaxMs) {
      throw new Fleet2banError(
        "unavailable",
        `no batch was acknowledged for ${silenceMaxMs / 1000} s: ${acknowledged} of ${sent} failures sent are acknowledged, ` +
          `${fleet.inFlight()} agents wait`,
      );
    }
    return sent >= failures && acknowledged >= sent;
  };
  await waitFor(isDone, "all batches to be acknowledged", throughputDeadlineMs);
  const seconds = (performance.now() - startedMs) / 1000;
  const after = cpu();
  const used = (part: keyof typeof after) => Math.round((after[part] - before[part]) * 100) / 100;
  const cpuSecondsUsed = {
    coordinator: used("coordinator"),
    others: used("others"),
    postgres: used("postgres"),
    nats: used("nats"),
    load: used("load"),
  };
  const microsPerFailure = (part: keyof typeof after) => Math.round((used(part) / sent) * 1e8) / 100;
  return {
    failuresPerSecond: Math.round(sent / seconds),
    failures: sent,
    batches: fleet.batches,
    seconds: Math.round(seconds * 10) / 10,
    cpuSeconds: cpuSecondsUsed,
    cpuMicrosPerFailure: {
      coordinator: microsPerFailure("coordinator"),
      others: microsPerFailure("others"),
      postgres: microsPerFailure("postgres"),
      nats: microsPerFailure("nats"),
      load: microsPerFailure("load"),
    },
  };
}

/** Failures a second, and how often what has come up is sent. */
type Pace = Readonly<{ rate: number; everyMs: number }>;

/** From the batch that fills a window leaving its agent to the ban's order, signed, reaching the agents. */
async function measureDecisions(
  { fleet, keys }: Bench,
  traffic: IngestTraffic,
  { rate, everyMs }: Pace,
  decisions: number,
) {
  // Behind whatever was sent twice in the first part.
  fleet.onAcknowledged = () => undefined;
  fleet.send(prepare(traffic.next(Date.now())));
  await waitFor(() => fleet.inFlight() === 0, "what is left of the first part", decisionDeadlineMs);
  const verifyingKey = createPublicKey(keys.orders);
  const sentMs = new Map<string, number>();
  const latencies: number[] = [];
  fleet.onOrders((payload) => {
    const nowMs = performance.now();
    for (const order of decodeOrderFrame(payload, verifyingKey).orders) {
      const startedMs = order.kind === "ban" ? sentMs.get(order.net) : undefined;
      if (startedMs !== undefined) latencies.push(nowMs - startedMs);
    }
  });
  // Evenly: agents flush every two seconds, each at a moment of its own.
  let due = 0;
  let lastMs = performance.now();
  const sendDue = (): void => {
    const nowMs = performance.now();
    due += ((nowMs - lastMs) / 1000) * rate;
    lastMs = nowMs;
    while (due > 0) {
      const batch = prepare(traffic.next(Date.now() - (Math.random() * flushMs) / 2));
      if (!fleet.send(batch)) break;
      due -= batch.rows;
    }
  };
  const sending = setInterval(sendDue, everyMs);
  for (let index = 0; index < decisions; index += 1) {
    await sleep(decisionEveryMs * (0.5 + Math.random()));
    const address = attackerAddress(0x8000 + index);
    sentMs.set(`${address.replace("::1", "::")}/64`, performance.now());
    fleet.send(prepare([{ atMs: Date.now(), address, jail: "sshd", count: 3 }]));
  }
  clearInterval(sending);
  await waitFor(
    () => latencies.length >= sentMs.size && fleet.inFlight() === 0,
    "all bans and acknowledgements",
    decisionDeadlineMs,
  );
  const sorted = latencies.toSorted((one, other) => one - other);
  const percentile = (share: number) => Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? 0) * 10) / 10;
  return { decisions: sorted.length, decisionP50Ms: percentile(0.5), decisionP99Ms: percentile(0.99) };
}

/** Every line, by host: what is in the database against what the hosts sent. */
async function countAgain({ query, fleet }: Bench): Promise<Readonly<{ lost: number; doubled: number }>> {
  // Acknowledged, and on the way from the coordinator that got it to the one whose part it is.
  const isJudged = async () => (await query<{ id: string }>("select id from handed_failures limit 1")).length === 0;
  await waitFor(isJudged, "what was handed over to be judged");
  const rows = await query<{ host: string; lines: string }>(
    "select host, sum(count) as lines from failures group by host",
  );
  const counted = new Map(rows.map(({ host, lines }) => [host, Number(lines)]));
  let [lost, doubled] = [0, 0];
  for (const [host, lines] of fleet.sent()) {
    const difference = lines - (counted.get(host) ?? 0);
    if (difference > 0) lost += difference;
    else doubled -= difference;
  }
  return { lost, doubled };
}
