import { hourMs, minuteMs, secondMs } from "../shared/durations.ts";
import { messageOf } from "../shared/errors.ts";
import { Account } from "./bus/account.ts";
import { type Bus, openBus } from "./bus/bus.ts";
import { type BusTls, isOnlyHere, openBusTls, openLine, publicUrls } from "./bus/bus-tls.ts";
import type { BusAddress } from "./bus/connect.ts";
import { HostRates } from "./bus/host-rates.ts";
import { type BusKeys, loadBusKeys } from "./bus/keys.ts";
import { managedNats } from "./bus/managed-nats.ts";
import { requireRefusals } from "./bus/self-test.ts";
import { openSystem, type System } from "./bus/system.ts";
import type { ServerConfig } from "./config.ts";
import { holesOf } from "./embedded/nats-program.ts";
import { startNatsServer } from "./embedded/nats-server.ts";
import type { Events } from "./events.ts";
import type { Conduct } from "./hosts/conduct.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";
import { watchPresence } from "./hosts/watch-presence.ts";

export type BusSide = Readonly<{
  bus: Bus;
  system: System;
  account: Account;
  keys: BusKeys;
  /** What agents are told to connect to. */
  publicAddress: BusAddress;
  /** What an operator should know, in sentences. */
  problems(): readonly string[];
}>;

export type BusSideParts = Readonly<{
  config: ServerConfig;
  directory: HostDirectory;
  conduct: Conduct;
  /** Public keys whose credentials are worth nothing any more, and since when. */
  revocations: ReadonlyMap<string, number>;
  events: Events;
  now: () => number;
}>;

/** A certificate is made anew two months before its end, so this is often enough. */
const certificateCheckMs = 6 * hourMs;
const cloneCheckMs = minuteMs;
const pruneEveryMs = minuteMs;
/** A push makes the server look through all its connections: a second of its time with 10 000 agents. */
const reviveEveryMs = 15 * secondMs;

/** Keys, the managed nats-server or the given one, and our two connections to it; `opened` closes them in reverse. */
export async function openBusSide(parts: BusSideParts, opened: AsyncDisposableStack): Promise<BusSide> {
  const { config, directory, events, now } = parts;
  const keys = loadBusKeys(config.dataDir);
  const account = new Account(keys, parts.revocations, now());
  const tls = await openBusTls(config, now());
  const url = config.natsUrl ?? (await startManaged(parts, keys, account, tls, opened));
  const address = { url, ca: tls.ca };
  const connections = () => directory.listeners("fleet");
  const system = opened.use(await openSystem(address, keys, account, events.log, connections));
  // The server must know the account before anybody of it can connect.
  await system.push();
  if (config.natsUrl !== undefined) await requireRefusals(address, keys);
  const bus = opened.use(await openBus(address, keys, events.log, admitting(parts, opened)));
  const presence = watchPresence(system, parts);
  system.tellPresent();
  const cloneCheck = setInterval(presence.check, cloneCheckMs);
  opened.defer(() => clearInterval(cloneCheck));
  // A server that could not give the account its JetStream tries that again when it is handed the account.
  const revival = setInterval(() => bus.streamProblem() !== undefined && system.pushAgain(), reviveEveryMs);
  opened.defer(() => clearInterval(revival));
  const urls = publicUrls(config, url, tls);
  const publicAddress = { url: urls[0] ?? url, urls, ca: tls.ca };
  const line = openLine(config, tls);
  const holes = () => holesOf(bus.serverVersion());
  const holesAtStart = holes();
  if (holesAtStart !== undefined) events.log.warn({ event: "nats_old" }, holesAtStart);
  return {
    ...{ bus, system, account, keys, publicAddress },
    problems: () => [
      ...(bus.connected() ? [] : ["the bus is away: agents protect themselves, orders wait"]),
      ...[bus.streamProblem() ?? []].flat(),
      ...(line === undefined ? [] : [line]),
      // Where no stranger gets, the log has said it.
      ...(isOnlyHere(config) ? [] : [holes() ?? []].flat()),
    ],
  };
}

/** One host's flood must not delay the others' reports. */
export function admitting(
  { conduct, now }: Pick<BusSideParts, "conduct" | "now">,
  opened: AsyncDisposableStack,
): (host: string) => boolean {
  const rates = new HostRates();
  const timer = setInterval(() => rates.prune(now()), pruneEveryMs);
  opened.defer(() => clearInterval(timer));
  return (host) => {
    const admitted = rates.admit(host, now());
    if (!admitted) conduct.note(host, "flood");
    return admitted;
  };
}

async function startManaged(
  { config, directory, conduct, events, now }: BusSideParts,
  keys: BusKeys,
  account: Account,
  tls: BusTls,
  opened: AsyncDisposableStack,
): Promise<string> {
  const websocket = config.natsWebsocket ?? null;
  const place = { dataDir: config.dataDir, host: config.natsListen.host, tls: tls.server, websocket };
  const { dir, config: write, env } = managedNats(place, keys, account);
  const server = opened.use(
    await startNatsServer({
      dir,
      env,
      config: write,
      listen: config.natsListen,
      websocketHost: config.natsWebsocket?.host,
      log: events.log,
      onViolation: (publicKey) => {
        const host = directory.hostOfKey(publicKey);
        if (host !== undefined) conduct.note(host.host, "permission_violation");
      },
    }),
  );
  const renew = async () => {
    if (!(await tls.renew(now()))) return;
    server.reload();
    events.log.info({ event: "certificate_renewed" }, "made a new certificate for the bus; its authority is the same");
  };
  const timer = setInterval(() => {
    renew().catch((error: unknown) => {
      const fields = { problem: messageOf(error), event: "certificate_not_renewed" };
      events.log.error(fields, "could not renew the certificate of the bus");
    });
  }, certificateCheckMs);
  opened.defer(() => clearInterval(timer));
  return server.url;
}
