import { mkdirSync } from "node:fs";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { formatNet, parseNet } from "../shared/address.ts";
import { Fleet2banError, messageOf } from "../shared/errors.ts";
import { version } from "../shared/version.ts";
import type { Bus } from "./bus/bus.ts";
import type { ServerConfig } from "./config.ts";
import { createDashboard } from "./dashboard/dashboard.ts";
import type { Desk } from "./desk/desk.ts";
import { openDesk } from "./desk/open-desk.ts";
import { startPostgres } from "./embedded/postgres.ts";
import { createEvents, type Events } from "./events.ts";
import { firstStart } from "./first-start.ts";
import { Conduct } from "./hosts/conduct.ts";
import { HostDirectory } from "./hosts/host-directory.ts";
import { heedRefusals } from "./hosts/watch-conduct.ts";
import { createApp } from "./http/app.ts";
import { startIngest } from "./ingest/consume-failures.ts";
import { type Commit, openJudgeWriter } from "./ingest/judge-writer.ts";
import { startJobs } from "./jobs/schedule.ts";
import type { Logger } from "./logger.ts";
import { type BusSide, openBusSide } from "./open-bus-side.ts";
import { openHostsSide } from "./open-hosts-side.ts";
import { type Publisher, startPublisher } from "./orders/publisher.ts";
import { listHosts } from "./store/hosts.ts";
import { openStore, type Store } from "./store/open-store.ts";
import { activeSet, orderEpoch, ordersSince, revisions } from "./store/orders.ts";
import { insertEnrollmentToken } from "./store/tokens.ts";

export type Deps = Readonly<{ now: () => number; log: Logger }>;
export type Coordinator = AsyncDisposable &
  Readonly<{
    /** Where people and scripts find it: `http://127.0.0.1:8080`. */
    url: string;
    /** Where agents find the bus. */
    natsUrl: string;
    /** The first admin's token, only at the very first start. */
    adminToken: string | undefined;
    /** Rejects when it cannot go on: another coordinator has taken over. */
    failed: Promise<never>;
  }>;

/** All hosts of the largest fleet we promise, at once: the directory is small. */
const hostsMax = 200_000;

/**
 * The coordinator. Opens in the order of dependence: database, bus, judgement, then what listens; is closed in reverse,
 * also when a later part fails to open.
 */
export async function run(config: ServerConfig, { now, log }: Deps): Promise<Coordinator> {
  await using opened = new AsyncDisposableStack();
  makeDataDir(config.dataDir);
  const events = createEvents(log);
  const databaseUrl = config.databaseUrl ?? opened.use(await startPostgres({ dataDir: config.dataDir, log })).url;
  const store = opened.use(await openStore({ url: databaseUrl, log }));
  const directory = new HostDirectory();
  const hosts = await listHosts(store, null, null, hostsMax);
  directory.load(hosts);
  const revoked = hosts.filter(({ state }) => state === "revoked");
  const revocations = new Map(revoked.map(({ publicKey }) => [publicKey, now()]));
  const conduct = new Conduct();
  const side = await openBusSide({ config, directory, conduct, revocations, events, now }, opened);

  const orders = { epoch: await orderEpoch(store, now()) };
  const canary = config.canary === "off" ? null : canonicalNet(config.canary);
  const publisher = opened.use(await openPublisher(store, side, directory, orders, { canary, now, log }));
  const committed = (commit: Commit) => tell(commit, publisher, directory, events);
  const writer = opened.use(await openJudgeWriter({ store, now, log, committed }));
  const failed = Promise.withResolvers<never>();
  // Whoever waits for it hears of it; nobody must.
  failed.promise.catch(() => undefined);
  const adminToken = await firstStart(store, writer, now());
  const heeded = heedRefusals(events, conduct);
  opened.use(startIngest({ source: side.bus, writer, events: heeded, replaced: failed.reject }));
  const setEpoch = (epoch: number) => void Object.assign(orders, { epoch });
  const hostsParts = { side, store, writer, directory, conduct, publisher, setEpoch, events, now };
  const { enrollment, acts: hostActs } = openHostsSide(hostsParts, opened);
  opened.use(startJobs({ writer, sql: store, now, log }));

  const desk = openDesk({
    ...{ version, store, writer, directory, hostActs, now },
    get orderEpoch() {
      return orders.epoch;
    },
    degraded: () => [...side.problems(), ...conduct.problems()],
    busHealth: () => busHealth(side.bus),
    async enroll({ tenant, host, uses, durationMs }, createdBy) {
      const createdMs = now();
      const untilMs = createdMs + durationMs;
      const { token } = await insertEnrollmentToken(store, { tenant, host, uses, createdMs, createdBy, untilMs });
      return { token: enrollment.pack(token, untilMs), tenant, uses, untilMs };
    },
  });
  const url = await listen(config, desk, events, now, opened);
  const closing = opened.move();
  return {
    url,
    natsUrl: side.publicAddress.url,
    adminToken,
    failed: failed.promise,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function openPublisher(
  store: Store,
  { bus, keys }: BusSide,
  directory: HostDirectory,
  orders: Readonly<{ epoch: number }>,
  deps: Deps & Readonly<{ canary: string | null }>,
) {
  return startPublisher({
    bus,
    orderLog: {
      get epoch() {
        return orders.epoch;
      },
      heads: () => revisions(store),
      activeSet: (scope) => activeSet(store, scope),
      ordersSince: (scope, revision, limit) => ordersSince(store, scope, revision, limit),
    },
    signingKey: keys.orders,
    agentsOf: (scope) => directory.listeners(scope),
    tenantOf: (host) => directory.tenantOf(host),
    ...deps,
  });
}

/** After the commit: the orders to the agents, the decisions to log and metrics. */
function tell({ orders, decisions }: Commit, publisher: Publisher, directory: HostDirectory, events: Events): void {
  for (const stretch of orders) publisher.publish(stretch.scope, stretch);
  for (const decision of decisions) {
    const { net, atMs } = "net" in decision ? decision : { net: "", atMs: decision.atMs };
    if (decision.kind === "ban") {
      const { scope, level, reason, untilMs, evidence } = decision;
      events.banned({ net, scope, level, reason, untilMs, evidence });
    } else if (decision.kind === "unban") events.unbanned({ net, scope: decision.scope, reason: decision.reason });
    else if (decision.kind === "quarantine") {
      const { tenant, host, why } = decision;
      directory.setState(host, "quarantined");
      events.refused("quarantined", { tenant, host, why, atMs });
    } else events.stopped(decision.kind, { net, scope: decision.scope, why: decision.why });
  }
}

async function busHealth(bus: Bus): Promise<string> {
  if (!bus.connected()) return "not connected; is nats-server running?";
  await bus.flush();
  return "ok";
}

/** API, dashboard and metrics on one port. */
async function listen(
  config: ServerConfig,
  desk: Desk,
  events: Events,
  now: () => number,
  opened: AsyncDisposableStack,
): Promise<string> {
  const api = createApp(desk, events.log, () => events.registry.metrics());
  const app = new Hono().route("/", createDashboard(desk, now)).mount("/", api.fetch);
  const { host, port } = config.http;
  const listening = Promise.withResolvers<number>();
  const server = serve({ fetch: app.fetch, hostname: host, port }, (address) => listening.resolve(address.port));
  server.on("error", (cause) => {
    const sentence = `cannot listen on ${host}:${port}: ${messageOf(cause)}; choose another address with --http`;
    listening.reject(new Fleet2banError("unavailable", sentence, { cause }));
  });
  opened.defer(async () => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const boundPort = await listening.promise;
  return `http://${host.includes(":") ? `[${host}]` : host}:${boundPort}`;
}

function canonicalNet(text: string): string {
  const net = parseNet(text);
  return net === undefined ? text : formatNet(net);
}

function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (cause) {
    throw new Fleet2banError(
      "unavailable",
      `${dataDir}: cannot be made: ${messageOf(cause)}; choose another with --data-dir`,
      { cause },
    );
  }
}
