import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { agentJwt } from "../../server/bus/jwt.ts";
import { type BusKeys, loadBusKeys } from "../../server/bus/keys.ts";
import { freePorts } from "../support/live-fleet.ts";
import { startProgram } from "../support/program.ts";
import { cpuSeconds, ownCpuSeconds } from "./cpu-seconds.ts";
import type { AgentsOrder, AgentsReport } from "./fleet-agents.ts";
import { fastUserKey } from "./nats-line.ts";

/** The order log's end is kept, as after days of running. */
const ordersKept = 20_000;
const hourMs = 3_600_000;
const pollMs = 200;
const waitMsMax = 600_000;
const agentsFile = new URL("./fleet-agents.ts", import.meta.url);

export type Bench = Awaited<ReturnType<typeof openBench>>;
export type Position = Readonly<{ epoch: number; revision: number; hash: string }>;

export type Shape = Readonly<{ agents: number; bans: number; processes: number; whole: number; tls: boolean }>;

export async function openBench({ agents, bans, processes, whole: wholeMax, tls }: Shape) {
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
  const children: ChildProcess[] = [];
  opened.defer(() => {
    for (const child of children) child.disconnect();
  });
  let started = 0;
  let whole = 0;
  const pidOf = (file: string) => Number(readFileSync(join(dataDir, file), "utf8").split("\n")[0]);
  const ask = (): Promise<Extract<AgentsReport, { said: "state" }>[]> =>
    Promise.all(children.map((child) => askState(child, true)));
  const inStep = () => allInStep(children, started);
  const closing = opened.move();
  return {
    ...{ coordinator, dataDir, url, token, children, ask, inStep },
    whole: () => whole,
    natsPid: () => pidOf("nats/nats.pid"),
    postgresPid: () => pidOf("postgres/cluster/postmaster.pid"),
    /** Since each part began. */
    cpu: () => ({
      coordinator: ownCpuSeconds(coordinator.pid),
      nats: cpuSeconds(pidOf("nats/nats.pid")),
      agents: children.reduce((sum, { pid = 0 }) => sum + cpuSeconds(pid), 0),
    }),
    /** Seconds until all agents that have been started are in step. */
    async start(count: number, known: Position | null): Promise<number> {
      const some = users.slice(started, started + count);
      started += count;
      const each = Math.ceil(count / processes);
      const wholeEach = known === null ? Math.ceil(wholeMax / processes) : 0;
      const groups = Array.from({ length: processes }, (_, index) => some.slice(index * each, (index + 1) * each));
      const fresh: ChildProcess[] = [];
      for (const group of groups) {
        const child = fork(agentsFile, { execArgv: ["--disable-warning=ExperimentalWarning"] });
        fresh.push(child);
        whole += Math.min(wholeEach, group.length);
        const place = { host: "127.0.0.1", port, tls };
        child.send({
          do: "start",
          place,
          orderKey: keys.ordersPublic,
          ...fleetOf(group, keys),
          whole: wholeEach,
          known,
        });
      }
      await Promise.all(fresh.map((child) => askState(child, false)));
      children.push(...fresh);
      const startedMs = performance.now();
      for (const child of fresh) child.send({ do: "connect" } satisfies AgentsOrder);
      await untilTrue(inStep, "all agents to be in step");
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
      until: Date.now() + 24 * hourMs + index * 1_000,
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

function askState(child: ChildProcess, positions: boolean): Promise<Extract<AgentsReport, { said: "state" }>> {
  const answer = hear(child, "state");
  child.send({ do: "report", positions } satisfies AgentsOrder);
  return answer;
}

export function hear<Said extends AgentsReport["said"]>(child: ChildProcess, said: Said) {
  const heard = Promise.withResolvers<Extract<AgentsReport, { said: Said }>>();
  const listen = (report: AgentsReport) => {
    if (report.said !== said) return;
    child.off("message", listen);
    heard.resolve(report as Extract<AgentsReport, { said: Said }>);
  };
  child.on("message", listen);
  return heard.promise;
}

async function allInStep(children: readonly ChildProcess[], count: number): Promise<boolean> {
  const states = await Promise.all(children.map((child) => askState(child, false)));
  return states.reduce((sum, { agents }) => sum + agents, 0) === count && states.every(isInStep);
}

export async function untilTrue(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + waitMsMax;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${waitMsMax} ms for ${what}`);
    await sleep(pollMs);
  }
}

function isInStep({ agents, inSync }: Extract<AgentsReport, { said: "state" }>): boolean {
  return agents === inSync;
}

export function secondsSince(startedMs: number): number {
  return Math.round((performance.now() - startedMs) / 100) / 10;
}
