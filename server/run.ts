import { mkdirSync } from "node:fs";
import { Hono } from "hono";
import { Fleet2banError, messageOf } from "../shared/errors.ts";
import { keyFingerprint } from "../shared/order-frame.ts";
import { loadBusKeys } from "./bus/keys.ts";
import type { ServerConfig } from "./config.ts";
import { createDashboard } from "./dashboard/dashboard.ts";
import type { Desk } from "./desk/desk.ts";
import { startPostgres } from "./embedded/postgres.ts";
import { createEvents, type Events } from "./events.ts";
import { openFront, type Surface } from "./front.ts";
import { openAddressHomes } from "./geo/open-address-homes.ts";
import { createApp } from "./http/app.ts";
import { type Deps, lead } from "./lead.ts";
import { type Judging, offerShare, startSharing } from "./sharing.ts";
import { openStandby } from "./standby.ts";
import { openStore, type Store } from "./store/open-store.ts";
import { announceLeader, findLeader, type Leader, openSeat } from "./store/seat.ts";

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
