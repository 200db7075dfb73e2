import { join } from "node:path";
import { formatNet, parseNet } from "../shared/address.ts";
import { version } from "../shared/version.ts";
import { type Bus, everyPartition } from "./bus/bus.ts";
import type { ServerConfig } from "./config.ts";
import { openDesk } from "./desk/open-desk.ts";
import type { Events } from "./events.ts";
import { openFeedKeeper } from "./feeds/keeper.ts";
import { firstStart } from "./first-start.ts";
import type { AddressHomes } from "./geo/address-home.ts";
import { Conduct } from "./hosts/conduct.ts";
import { HostDirectory } from "./hosts/host-directory.ts";
import { revocationsOf } from "./hosts/moved-hosts.ts";
import { heedRefusals } from "./hosts/watch-conduct.ts";
import { startIngest } from "./ingest/consume-failures.ts";
import { type Commit, type FaultPoint, openJudgeWriter } from "./ingest/judge-writer.ts";
import { startJobs } from "./jobs/schedule.ts";
import type { Logger } from "./logger.ts";
import { type BusSide, openBusSide } from "./open-bus-side.ts";
import { openHostsSide } from "./open-hosts-side.ts";
import { type Publisher, startPublisher } from "./orders/publisher.ts";
import { type Judging, startSharingOut } from "./sharing.ts";
import { listHosts } from "./store/hosts.ts";
import type { Store } from "./store/open-store.ts";
import { activeSet, orderEpoch, ordersSince, revisions } from "./store/orders.ts";
import { insertEnrollmentToken } from "./store/tokens.ts";
import { watchClock } from "./watch-clock.ts";

export type Deps = Readonly<{
  now: () => number;
  log: Logger;
  /** Tests end the process here. */
  fault?: (point: FaultPoint) => void;
}>;

/** All hosts of the largest fleet we promise, at once: the directory is small. */
const hostsMax = 200_000;

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
export async function lead(
  { config, store, events, homes, judging, failed, now, log, fault }: LeadParts,
  opened: AsyncDisposableStack,
) {
  const directory = new HostDirectory();
  const hosts = await listHosts(store, null, null, hostsMax);
  directory.load(hosts);
  directory.awaitSeen(hosts, now());
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
  const { enrollment, acts: hostActs, problems } = openHostsSide(hostsParts, opened);
  const feeds = await openFeedKeeper({ store, writer, events, folder: join(config.dataDir, "feeds"), now });
  opened.use(startJobs({ writer, store, now, log, feeds, replaced: failed }));
  // Before the jobs end: they wait for what has begun, and a download may take a minute.
  opened.use(feeds);
  opened.use(startSharingOut({ store, writer, bus: side.bus, log, failed }));

  const clock = opened.use(watchClock(store, now, log));

  const desk = openDesk({
    ...{ version, store, writer, directory, hostActs, feeds, now, events, homes },
    get orderEpoch() {
      return orders.epoch;
    },
    degraded: () => [
      ...[...side.problems(), ...problems(), ...conduct.problems(), ...clock.problems()],
      ...feeds.problems(),
    ],
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
    } else if (decision.kind === "unban") {
      const { scope, reason, feed } = decision;
      events.unbanned({ net, scope, reason, feed });
    } else if (decision.kind === "mistake") events.mistaken({ net, scope: decision.scope });
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

function canonicalNet(text: string): string {
  const net = parseNet(text);
  return net === undefined ? text : formatNet(net);
}
