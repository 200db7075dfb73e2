import { setTimeout as sleep } from "node:timers/promises";
import { Fleet2banError, messageOf } from "../shared/errors.ts";
import { type Bus, openBus } from "./bus/bus.ts";
import { openBusTls } from "./bus/bus-tls.ts";
import { loadBusKeys } from "./bus/keys.ts";
import type { ServerConfig } from "./config.ts";
import { partitionCount } from "./domain/partition.ts";
import type { Events } from "./events.ts";
import { Conduct } from "./hosts/conduct.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";
import { heedRefusals, watchConduct } from "./hosts/watch-conduct.ts";
import { startIngest } from "./ingest/consume-failures.ts";
import { changeHost } from "./ingest/fleet-acts.ts";
import { type Commit, type FaultPoint, type JudgeWriter, openJudgeWriter } from "./ingest/judge-writer.ts";
import { startExpiring } from "./jobs/schedule.ts";
import type { Logger } from "./logger.ts";
import { admitting } from "./open-bus-side.ts";
import type { Store } from "./store/open-store.ts";
import { ReplacedError } from "./store/replaced-error.ts";
import { openSeat } from "./store/seat.ts";
import { livingSharers, newCoordinatorId, offerToShare, shareOut } from "./store/shares.ts";
import { clockProblem } from "./watch-clock.ts";

/** How soon a coordinator that came or went changes what the others do. */
const shareOutEveryMs = 500;
const offerEveryMs = 1_000;
/** Longer than a nats-server takes to start again: then others, who may still reach it, take our hosts. */
const busAwayMs = 10_000;
/** By then those whom the bus has left as well do not share any more: whoever still does could lead. */
const leaderBusAwayMs = 20_000;
/** What keeps a coordinator from sharing is looked at again at this pace; meanwhile the leader does everything. */
const retryMs = 5_000;

/** Whoever judges in this process now, for the metrics. */
export type Judging = { writer: Pick<JudgeWriter, "partitions"> | undefined };

export function offerShare(events: Pick<Events, "gauge">, judging: Judging): void {
  const help = `Parts of the work, of ${partitionCount}, that this coordinator does.`;
  events.gauge("f2b_partitions", help, () => judging.writer?.partitions() ?? 0);
}

export type SharingParts = Readonly<{
  config: ServerConfig;
  databaseUrl: string;
  /** Where people reach this coordinator. */
  url: string;
  store: Store;
  directory: HostDirectory;
  events: Events;
  judging: Judging;
  now: () => number;
  log: Logger;
  fault?: ((point: FaultPoint) => void) | undefined;
}>;

/** Takes part in the work of the coordinator that leads: takes in failures and judges its share of the subjects. */
export function startSharing(parts: SharingParts): AsyncDisposable {
  const closing = new AbortController();
  const share = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await using opened = new AsyncDisposableStack();
        const offer = await openShare(parts, opened);
        while (!closing.signal.aborted) {
          await offer();
          await pause(offerEveryMs, closing.signal);
        }
      } catch (error) {
        const fields = { problem: messageOf(error), event: "not_sharing" };
        parts.log.warn(fields, "cannot share the leader's work; trying again");
        await pause(retryMs, closing.signal);
      }
    }
  };
  const sharing = share();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await sharing;
    },
  };
}

async function openShare(parts: SharingParts, opened: AsyncDisposableStack): Promise<() => Promise<void>> {
  const { config, databaseUrl, url, store, directory, events, judging, now, log, fault } = parts;
  // Before all that costs something.
  await checkClock(store, now);
  const sharer = await newCoordinatorId(store);
  const tls = await openBusTls(config, now());
  const conduct = new Conduct();
  const address = { url: config.natsUrl ?? "", ca: tls.ca };
  const admit = admitting({ conduct, now }, opened);
  const bus = opened.use(await openBus(address, loadBusKeys(config.dataDir), log, admit, new Set()));
  const shared = (share: ReadonlySet<number> | null) => {
    bus.readFailures(share ?? new Set());
    // Something may be in the database for what is ours since now.
    bus.wake();
  };
  const writer = opened.use(await openJudgeWriter({ store, now, log, sharer, shared, ...(fault && { fault }) }));
  judging.writer = writer;
  opened.use(startIngest({ source: bus, writer, events: heedRefusals(events, conduct), fault }));
  const told = ({ orders }: Commit): void => {
    if (orders.length > 0) bus.wakeOthers();
  };
  opened.use(startExpiring({ writer, store, now, log, told }));
  const quarantine = async (host: string, why: string): Promise<void> => {
    const target = { host, owner: null, seen: () => true };
    directory.put(await changeHost(writer, { by: "fleet2ban", note: why }, target, { quarantined: true }));
    bus.wakeOthers();
  };
  opened.use(watchConduct({ conduct, directory, events, now, quarantine }));
  // Last to open and first to close: whoever leads gives our part to others before we have stopped.
  const presence = opened.use(
    openSeat({ url: databaseUrl, seat: { kind: "presence", number: sharer }, log, lost: () => undefined }),
  );
  if (!(await presence.tryTake())) throw new Error(`the lock of coordinator ${sharer} is taken`);
  const awayMs = watchBus(bus);
  return async () => {
    if (awayMs() >= busAwayMs) throw new Fleet2banError("unavailable", "the bus is away; the others do our share");
    await checkClock(store, now);
    await offerToShare(store, sharer, url, now());
  };
}

/** What the leader does for those that share its work. */
export function startSharingOut(
  parts: Readonly<{
    store: Store;
    writer: JudgeWriter;
    bus: Pick<Bus, "connected" | "wakeOthers">;
    log: Logger;
    failed: (error: unknown) => void;
  }>,
): AsyncDisposable {
  const { store, writer, bus, log, failed } = parts;
  const closing = new AbortController();
  const awayMs = watchBus(bus);
  const watch = async (): Promise<void> => {
    while (await pause(shareOutEveryMs, closing.signal)) {
      try {
        if (await store.transaction((sql) => shareOut(sql, writer.coordinator))) bus.wakeOthers();
        if (awayMs() >= leaderBusAwayMs && (await livingSharers(store)).length > 0) {
          const why = "the bus is away for this coordinator and not for others: one of those leads from now on";
          failed(new Fleet2banError("unavailable", why));
          return;
        }
      } catch (error) {
        if (error instanceof ReplacedError) failed(error);
        log.debug({ problem: messageOf(error) }, "could not share the work out");
      }
    }
  };
  const watching = watch();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await watching;
    },
  };
}

async function checkClock(store: Store, now: () => number): Promise<void> {
  const problem = await clockProblem(store, now);
  if (problem !== undefined) throw new Fleet2banError("unavailable", `${problem}; the others do our share`);
}

/** For how long the bus is away, as far as whoever asks again and again can tell. */
function watchBus(bus: Pick<Bus, "connected">): () => number {
  let sinceMs: number | undefined;
  return () => {
    sinceMs = bus.connected() ? undefined : (sinceMs ?? performance.now());
    return sinceMs === undefined ? 0 : performance.now() - sinceMs;
  };
}

/** False when it was cut short. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal }).catch(() => false);
}
