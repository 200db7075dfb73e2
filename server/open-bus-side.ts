import { Account } from "./bus/account.ts";
import { type Bus, openBus } from "./bus/bus.ts";
import type { BusAddress } from "./bus/connect.ts";
import { type BusKeys, loadBusKeys } from "./bus/keys.ts";
import { managedNats } from "./bus/managed-nats.ts";
import { openSystem, type System } from "./bus/system.ts";
import type { ServerConfig } from "./config.ts";
import { startNatsServer } from "./embedded/nats-server.ts";
import type { Events } from "./events.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";

export type BusSide = Readonly<{
  bus: Bus;
  system: System;
  account: Account;
  keys: BusKeys;
  /** What agents are told to connect to. */
  publicAddress: BusAddress;
}>;

export type BusSideParts = Readonly<{
  config: ServerConfig;
  directory: HostDirectory;
  /** Public keys whose credentials are worth nothing any more, and since when. */
  revocations: ReadonlyMap<string, number>;
  events: Events;
  now: () => number;
}>;

/** Keys, the managed nats-server or the given one, and our two connections to it; `opened` closes them in reverse. */
export async function openBusSide(parts: BusSideParts, opened: AsyncDisposableStack): Promise<BusSide> {
  const { config, directory, events, now } = parts;
  const keys = loadBusKeys(config.dataDir);
  const account = new Account(keys, parts.revocations, now());
  const url = config.natsUrl ?? (await startManaged(parts, keys, account, opened));
  const address = { url, ca: null };
  const system = opened.use(await openSystem(address, keys, account, events.log));
  // The server must know the account before anybody of it can connect.
  await system.push();
  const bus = opened.use(await openBus(address, keys, events.log));
  system.onPresence((publicKey, connected) => {
    const host = directory.hostOfKey(publicKey);
    if (host !== undefined) directory.setConnected(host.host, connected);
  });
  return { bus, system, account, keys, publicAddress: { url: config.natsPublicUrl ?? url, ca: null } };
}

async function startManaged(
  { config, directory, events }: BusSideParts,
  keys: BusKeys,
  account: Account,
  opened: AsyncDisposableStack,
): Promise<string> {
  const place = { dataDir: config.dataDir, host: config.natsListen.host, tls: null, websocket: null };
  const { dir, config: write } = managedNats(place, keys, account);
  const server = opened.use(
    await startNatsServer({
      dir,
      config: write,
      listen: config.natsListen,
      log: events.log,
      onViolation: (publicKey) => {
        const host = directory.hostOfKey(publicKey)?.host ?? "unknown";
        events.refused("permission_violation", { host, publicKey });
      },
    }),
  );
  return server.url;
}
