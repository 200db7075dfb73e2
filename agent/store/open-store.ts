import type { Logger } from "../logger.ts";
import { type BanStore, openBans } from "./bans.ts";
import { lockStateDir, openDatabase } from "./database.ts";
import { type OrderStore, openOrders } from "./orders.ts";
import { type OutboxStore, openOutbox } from "./outbox.ts";
import { openPositions, type PositionStore } from "./positions.ts";

/** The agent's local truth. Its calls are synchronous: each is one short transaction of a local file. */
export type Store = Disposable &
  Readonly<{
    positions: PositionStore;
    outbox: OutboxStore;
    bans: BanStore;
    orders: OrderStore;
    /** Drops whatever has ended; call it now and then (minutes). */
    purge(nowMs: number): void;
  }>;

/** A log without news for so long has been rotated away for good. */
const positionKeepMs = 90 * 86_400_000;

/**
 * Opens `<stateDir>/agent.db` for the one agent that may use it, and makes the directory (0700) when it is missing.
 *
 * @throws Fleet2banError `unavailable` when another agent runs with this directory, or it cannot be used;
 *   `invalid` when a newer version wrote it
 */
export function openStore(stateDir: string, log: Logger): Store {
  using opened = new DisposableStack();
  opened.use(lockStateDir(stateDir));
  const database = openDatabase(stateDir, log);
  opened.defer(() => database.close());
  const positions = openPositions(database);
  const bans = openBans(database);
  const orders = openOrders(database);
  const outbox = openOutbox(database);
  const closing = opened.move();
  return {
    positions,
    outbox,
    bans,
    orders,
    purge: (nowMs) => {
      bans.purge(nowMs);
      orders.purge(nowMs);
      positions.purge(nowMs - positionKeepMs);
    },
    [Symbol.dispose]: () => closing.dispose(),
  };
}
