import { hourMs } from "../shared/durations.ts";
import { messageOf } from "../shared/errors.ts";
import type { Events } from "./events.ts";
import type { HostDirectory } from "./hosts/host-directory.ts";
import type { Publisher } from "./orders/publisher.ts";
import { RewindWatch } from "./orders/rewind-watch.ts";
import type { Store } from "./store/open-store.ts";
import { revisions, startOrderEpoch } from "./store/orders.ts";
import { findTenant } from "./store/tenants.ts";

export type RewindParts = Readonly<{
  store: Store;
  directory: HostDirectory;
  publisher: Publisher;
  /** The order log has begun a new life. */
  setEpoch: (epoch: number) => void;
  events: Events;
  now: () => number;
}>;

/** People should look through their bans after that, and may not look here before the next day. */
const shownMs = 24 * hourMs;

/** Begins a new life of the order log when enough hosts show that this one is an older copy. */
export function watchRewinds({ store, directory, publisher, setEpoch, events, now }: RewindParts) {
  const watch = new RewindWatch();
  let rewoundMs = Number.NEGATIVE_INFINITY;
  let checking: Promise<void> = Promise.resolve();
  const check = async (host: string, { scope, revision }: Readonly<{ scope: string; revision: number }>) => {
    // Another coordinator may have written what this one has not heard of yet.
    const heads = new Map<string, number>(await revisions(store));
    if (revision <= (heads.get(scope) ?? 0)) return;
    const known = directory.get(host);
    const tenant = await findTenant(store, known?.tenant ?? "");
    const trusted = known?.state === "active" && tenant?.trust === "full" && !tenant.quarantined;
    if (!watch.claim({ host, trusted }, directory.listeners("fleet"), now())) return;
    const epoch = await startOrderEpoch(store, now());
    setEpoch(epoch);
    rewoundMs = now();
    await publisher.restart();
    const fields = { host, scope, revision, epoch, event: "order_log_rewound" };
    events.log.error(fields, "hosts know orders the database does not: it is an older copy; every agent begins anew");
  };
  return {
    notice(host: string, claim: Readonly<{ scope: string; revision: number }>): void {
      checking = checking
        .then(() => check(host, claim))
        .catch((error: unknown) => {
          events.log.warn({ problem: messageOf(error) }, "could not check whether the order log was rewound");
        });
    },
    problems(): string[] {
      if (now() - rewoundMs > shownMs) return [];
      const when = new Date(rewoundMs).toISOString().slice(0, 16);
      return [
        `at ${when} the database was found to be an older copy: bans are as they were when it was made, and what was lifted since then stands again`,
      ];
    },
  };
}
