import { mkdirSync } from "node:fs";
import { Hono } from "hono";
import { formatNet, parseNet } from "../shared/address.ts";
import { Fleet2banError, messageOf } from "../shared/errors.ts";
import { keyFingerprint } from "../shared/order-frame.ts";
import { version } from "../shared/version.ts";
import { type Bus, everyPartition } from "./bus/bus.ts";
import { loadBusKeys } from "./bus/keys.ts";
import type { ServerConfig } from "./config.ts";
import { createDashboard } from "./dashboard/dashboard.ts";
import type { Desk } from "./desk/desk.ts";
import { openDesk } from "./desk/open-desk.ts";
import { startPostgres } from "./embedded/postgres.ts";
import { createEvents, type Events } from "./events.ts";
import { firstStart } from "./first-start.ts";
import { openFront, type Surface } from "./front.ts";
import type { AddressHomes } from "./geo/address-home.ts";
import { openAddressHomes } from "./geo/open-address-homes.ts";
import { Conduct } from "./hosts/conduct.ts";
import { HostDirectory } from "./hosts/host-directory.ts";
import { revocationsOf } from "./hosts/moved-hosts.ts";
import { heedRefusals } from "./hosts/watch-conduct.ts";
import { createApp } from "./http/app.ts";
import { startIngest } from "./ingest/consume-failures.ts";
import { type Commit, type FaultPoint, openJudgeWriter } from "./ingest/judge-writer.ts";
import { startJobs } from "./jobs/schedule.ts";
import type { Logger } from "./logger.ts";
import { type BusSide, openBusSide } from "./open-bus-side.ts";
import { openHostsSide } from "./open-hosts-side.ts";
import { type Publisher, startPublisher } from "./orders/publisher.ts";
import { type Judging, offerShare, startSharing, startSharingOut } from "./sharing.ts";
import { openStandby } from "./standby.ts";
import { listHosts } from "./store/hosts.ts";
import { openStore, type Store } from "./store/open-store.ts";
import { activeSet, orderEpoch, ordersSince, revisions } from "./store/orders.ts";
import { announceLeader, findLeader, type Leader, openSeat } from "./store/seat.ts";
import { insertEnrollmentToken } from "./store/tokens.ts";
import { watchClock } from "./watch-clock.ts";

export type Deps = Readonly<{
  now: () => number;
  log: Logger;
  /** Tests end the process here. */
  fault?: (point: FaultPoint) => void;
}>;
export type Coordinator = AsyncDisposable &
  Readonly<{
    /** Where people and scripts find it: `http://127.0.0.1:8080`. */
    url: string;
    /** Where agents find the bus. */
    natsUrl: string;
    /** The first admin's token, only at the very first start. */
    adminToken: string | undefined;
    /** Another coordinator leads this database; this one takes over when that one ends. */
    standsBy: boolean;
    /** Rejects when it cannot go on: another coordinator has taken over. */
    failed: Promise<never>;
  }>;

/** All hosts of the largest fleet we promise, at once: the directory is small. */
const hostsMax = 200_000;

/**
 * The coordinator. Opens in the order of dependence: database, seat, then everything a leader does; is closed in reverse,
 * also when a later part fails to open. Where another one leads, it shows the database and waits for the seat.
 */
export async function run(config: ServerConfig, deps: Deps): Promise<Coordinator> {
  const { now, log } = deps;
  await using opened = new AsyncDisposableStack();
  makeDataDir(config.dataDir);
  const databaseUrl = config.databaseUrl ?? opened.use(await startPostgres({ dataDir: config.dataDir, log })).url;
  const store = opened.use(await openStore({ url: databaseUrl, log }));
  const failed = Promise.withResolvers<never>();
  // Whoever waits for it hears of it; nobody must.
  failed.promise.catch(() => undefined);
  const seat = opened.use(
    openSeat({ url: databaseUrl, seat: { kind: "leader", number: 0 }, log, lost: failed.reject }),
  );
  const front = opened.use(openFront(config.http));
  const events = createEvents(log);
  const judging: Judging = { writer: undefined };
  offerShare(events, judging);
  const homes = openAddressHomes(config.addressData);
  const surface = (desk: Desk) => surfaceOf(config, desk, events, now);
  const leading = opened.use(new AsyncDisposableStack());
  const parts = { config, store, events, homes, judging, failed: failed.reject, ...deps };
  if (await seat.tryTake()) {
    const { desk, natsUrl, adminToken } = await lead(parts, leading);
    front.show(surface(desk));
    const url = await front.listen();
    await announceLeader(store, leaderOf(config, url, now()));
    const closing = opened.move();
    const dispose = () => closing.disposeAsync();
    return { url, natsUrl, adminToken, standsBy: false, failed: failed.promise, [Symbol.asyncDispose]: dispose };
  }

  const before = await checkStandby(config, store);
  const standby = leading.use(await openStandby({ store, log, now }));
  front.show(surface(standby.desk));
  const url = await front.listen();
  const stop = new AbortController();
  const { directory } = standby;
  const sharing = leading.use(
    startSharing({ config, databaseUrl, url, store, directory, events, judging, now, log, fault: deps.fault }),
  );
  const takeOver = async (): Promise<void> => {
    if (!(await seat.take(stop.signal))) return;
    await sharing[Symbol.asyncDispose]();
    log.warn({ before: before?.url, event: "leads" }, "the seat is free: this coordinator leads from now on");
    const { desk } = await lead(parts, leading);
    front.show(surface(desk));
    await announceLeader(store, leaderOf(config, url, now()));
  };
  const taking = takeOver().catch(failed.reject);
  const closing = opened.move();
  return {
    ...{ url, natsUrl: config.natsUrl ?? "", adminToken: undefined, standsBy: true, failed: failed.promise },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await taking;
      await closing.disposeAsync();
    },
  };
}

type LeadParts = Deps &
  Readonly<{
    config: ServerConfig;
    store: Store;
    events: Events;
    homes: AddressHomes;
    judging: Judging;
    failed: (error: unknown) => void;
  }>;

/** All that only one coordinator at a time does: bus, judgement, orders, jobs. `opened` closes it in reverse. */
async function lead(
  { config, store, events, homes, judging, failed, now, log, fault }: LeadParts,
  opened: AsyncDisposableStack,
) {
  const directory = new HostDirectory();
  const hosts = await listHosts(store, null, null, hostsMax);
  directory.load(hosts);
  const revocations = revocationsOf(hosts, now());
  const conduct = new Conduct();
  const side = await openBusSide({ config, directory, conduct, revocations, events, now }, opened);

  const orders = { epoch: await orderEpoch(store, now()) };
  const canary = config.canary === "off" ? null : canonicalNet(config.canary);
  const publisher = opened.use(await openPublisher(store, side, directory, orders, { canary, now, log }));
  const committed = (commit: Commit) => tell(commit, publisher, directory, events);
  const shared = (share: ReadonlySet<number> | null) => {
    side.bus.readFailures(share ?? everyPartition);
    side.bus.wake();
  };
  const writer = opened.use(await openJudgeWriter({ store, now, log, committed, shared, ...(fault && { fault }) }));
  judging.writer = writer;
  const adminToken = await firstStart(store, writer, now());
  const heeded = heedRefusals(events, conduct);
  opened.use(startIngest({ source: side.bus, writer, events: heeded, replaced: failed, fault }));
  const setEpoch = (epoch: number) => void Object.assign(orders, { epoch });
  const hostsParts = { side, store, writer, directory, conduct, publisher, known: hosts, setEpoch, events, now };
  const { enrollment, acts: hostActs } = openHostsSide(hostsParts, opened);
  opened.use(startJobs({ writer, store, now, log, replaced: failed }));
  opened.use(startSharingOut({ store, writer, bus: side.bus, log, failed }));

  const clock = opened.use(watchClock(store, now, log));

  const desk = openDesk({
    ...{ version, store, writer, directory, hostActs, now, events, homes },
    get orderEpoch() {
      return orders.epoch;
    },
    degraded: () => [...side.problems(), ...conduct.problems(), ...clock.problems()],
    busHealth: () => busHealth(side.bus),
    async enroll({ tenant, host, uses, durationMs }, createdBy) {
      const createdMs = now();
      const untilMs = createdMs + durationMs;
      const { token } = await insertEnrollmentToken(store, { tenant, host, uses, createdMs, createdBy, untilMs });
      return { token: enrollment.pack(token, untilMs), tenant, uses, untilMs };
    },
  });
  return { desk, natsUrl: side.publicAddress.url, adminToken };
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
    observes: (host) => directory.get(host)?.observe ?? false,
    ...deps,
  });
}

/** After the commit: the orders to the agents, the decisions to log and metrics. */
function tell(
  { atMs: committedMs, orders, decisions, followed = [] }: Commit,
  publisher: Publisher,
  directory: HostDirectory,
  events: Events,
): void {
  for (const stretch of orders) {
    publisher.publish(stretch.scope, stretch);
    events.latency.ordered(stretch, committedMs);
  }
  for (const fact of followed) {
    if (fact.kind !== "quarantine" || fact.host === null) continue;
    directory.setState(fact.host, fact.on ? "quarantined" : "active");
  }
  for (const decision of decisions) {
    const { net, atMs } = "net" in decision ? decision : { net: "", atMs: decision.atMs };
    if (decision.kind === "ban") {
      const { scope, level, reason, untilMs, evidence } = decision;
      events.banned({ net, scope, level, reason, untilMs, evidence });
    } else if (decision.kind === "unban") events.unbanned({ net, scope: decision.scope, reason: decision.reason });
    else if (decision.kind === "mistake") events.mistaken({ net, scope: decision.scope });
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

/** API, dashboard and metrics. */
function surfaceOf(config: ServerConfig, desk: Desk, events: Events, now: () => number): Surface {
  const api = createApp(desk, events.log, () => events.registry.metrics());
  const dashboard = createDashboard(desk, now, {
    selfCheck: config.selfCheck ? { contact: config.selfCheckContact } : null,
    isBehindProxy: config.behindProxy,
    report: (error) => events.log.error({ err: error, event: "page_failed" }, "a page failed"),
  });
  return new Hono().route("/", dashboard).mount("/", api.fetch);
}

function leaderOf(config: ServerConfig, listening: string, sinceMs: number): Leader {
  return { url: config.publicUrl ?? listening, keys: keysOf(config), sinceMs };
}

/** Short name of our keys. */
function keysOf(config: ServerConfig): string {
  return keyFingerprint(Buffer.from(loadBusKeys(config.dataDir).ordersPublic, "base64url"));
}

/** A coordinator that could not lead must not be found out when it has to. */
async function checkStandby(config: ServerConfig, store: Store): Promise<Leader | undefined> {
  const leader = await findLeader(store);
  const who = leader === undefined ? "another coordinator" : `the coordinator ${leader.url}`;
  if (config.natsUrl === undefined) {
    const why = "this one would bring a bus of its own, where no agent is";
    throw new Fleet2banError("unavailable", `${who} leads this database, and ${why}; give both the same --nats-url`);
  }
  if (leader !== undefined && leader.keys !== keysOf(config)) {
    const remedy = "copy that folder from the other one before the first start";
    throw new Fleet2banError(
      "invalid",
      `${config.dataDir}/keys: not the keys of ${who}, so agents would not obey; ${remedy}`,
    );
  }
  return leader;
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
