import { Fleet2banError } from "../shared/errors.ts";
import { version } from "../shared/version.ts";
import type { Desk } from "./desk/desk.ts";
import { openDesk } from "./desk/open-desk.ts";
import { HostDirectory } from "./hosts/host-directory.ts";
import type { JudgeWriter } from "./ingest/judge-writer.ts";
import type { Logger } from "./logger.ts";
import { listHosts } from "./store/hosts.ts";
import type { Store } from "./store/open-store.ts";
import { orderEpoch } from "./store/orders.ts";
import { findLeader } from "./store/seat.ts";

/** How old hosts and the leader's address, which are kept in memory, may be. */
const lookEveryMs = 5_000;
const hostsMax = 200_000;

/** What the database alone can answer. `explain` asks the judgement, which only the leader has. */
const reads: ReadonlySet<keyof Desk> = new Set<keyof Desk>([
  ...(["status", "stats", "watch", "hosts", "host", "bans", "oneBan", "receipt", "exportBans", "failures"] as const),
  ...(["records", "feeds", "feed"] as const),
  ...(["recentFailures", "incidents", "rules", "held", "policy", "policyVersions", "policyVersion"] as const),
  ...(["tryPolicy", "tenants", "enrollmentTokens", "apiTokens", "audit", "verifyAudit", "principalOf"] as const),
  ...(["health", "startOnce", "finishOnce"] as const),
]);

export type StandbyParts = Readonly<{ store: Store; log: Logger; now: () => number }>;
export type Standby = AsyncDisposable & Readonly<{ desk: Desk; directory: HostDirectory }>;

/** A coordinator that waits for the seat: it shows what is in the database and sends whoever changes something away. */
export async function openStandby({ store, log, now }: StandbyParts): Promise<Standby> {
  const directory = new HostDirectory();
  let leaderUrl = "unknown";
  const look = async (): Promise<void> => {
    const hosts = await listHosts(store, null, null, hostsMax);
    directory.load(hosts);
    // Who is connected only the leader hears. What was reported lately, the database knows, and the desk asks both.
    for (const { host } of hosts) directory.setConnected(host, true);
    leaderUrl = (await findLeader(store))?.url ?? "unknown";
  };
  await look();
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.debug({ err: error }, "could not look at the database"));
  }, lookEveryMs);
  const sentence = (): string => `this coordinator stands by; the one that leads is ${leaderUrl}`;
  const refuse = async (): Promise<never> => {
    throw new Fleet2banError("unavailable", `${sentence()}: ask that one`);
  };
  const writer: JudgeWriter = {
    turn: refuse,
    overlap: refuse,
    free: refuse,
    ask: refuse,
    read: (question) => question(store),
    coordinator: 0,
    partitions: () => 0,
    isShared: () => true,
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const desk = openDesk({
    ...{ version, store, writer, directory, now },
    orderEpoch: await orderEpoch(store, now()),
    degraded: () => [sentence()],
    busHealth: async () => "ok",
    enroll: refuse,
  });
  return {
    directory,
    desk: new Proxy(desk, {
      get: (target, name) => (isRead(name) ? Reflect.get(target, name) : refuse),
    }),
    [Symbol.asyncDispose]: async () => clearInterval(timer),
  };
}

function isRead(name: string | symbol): boolean {
  const known: ReadonlySet<string | symbol> = reads;
  // A symbol is asked for by the language, never by a person.
  return typeof name === "symbol" || known.has(name);
}
