import { setTimeout as sleep } from "node:timers/promises";
import type { Lifted } from "../ingest/admin-acts.ts";
import type { BanView as StoredBan } from "../store/bans.ts";
import { type OrderPlace, receiptOf } from "../store/hosts.ts";
import type { Principal, UnbanReceipt } from "./desk.ts";
import type { DeskParts } from "./desk-parts.ts";

/** How soon it is looked again whether the hosts have answered: they do within a fraction of a second. */
const lookEveryMs = 50;
/** No host has come so far. */
const never = Number.MAX_SAFE_INTEGER;

/** Says where a removal has arrived. */
export function receiptWriter(parts: DeskParts) {
  async function at(asker: Principal, places: readonly OrderPlace[]): Promise<Omit<UnbanReceipt, "net" | "lifted">> {
    // The epoch is asked for each time: a new life of the order log may begin while we run.
    const { applied, total, waiting } = await receiptOf(parts.store, places, parts.orderEpoch, asker.tenant);
    return { applied, total, waiting };
  }

  async function ofBan(asker: Principal, ban: StoredBan): Promise<UnbanReceipt> {
    return { net: ban.net, lifted: ban.endedMs === null ? [] : [ban.id], ...(await at(asker, [placeOf(ban)])) };
  }

  /** @param waitMs  how long to wait for hosts that are connected; for one that is away nobody waits */
  async function ofLift(asker: Principal, { net, bans, told }: Lifted, waitMs = 0): Promise<UnbanReceipt> {
    const places = [...bans.map(placeOf), ...told];
    const deadline = performance.now() + waitMs;
    for (;;) {
      const arrived = await at(asker, places);
      const isDone = !arrived.waiting.some((host) => parts.directory.isConnected(host));
      if (isDone || performance.now() >= deadline) return { net, lifted: bans.map((ban) => ban.id), ...arrived };
      await sleep(lookEveryMs);
    }
  }

  /** Nothing has been lifted, so no host has removed what stands; what has ended they removed long ago. */
  async function dry(
    asker: Principal,
    net: string,
    bans: readonly StoredBan[],
    hosts: readonly string[],
  ): Promise<UnbanReceipt> {
    const places = [
      ...bans.map((ban) => (ban.endedMs === null ? { scope: ban.scope, revision: never } : placeOf(ban))),
      ...hosts.map((host) => ({ scope: `host:${host}` as const, revision: never })),
    ];
    return { net, lifted: bans.map((ban) => ban.id), ...(await at(asker, places)) };
  }
  return { ofBan, ofLift, dry };
}

/** Where its end stands in the order log, or as long as it has not ended its beginning. */
function placeOf({ scope, endRevision, startRevision }: StoredBan): OrderPlace {
  return { scope, revision: endRevision ?? startRevision };
}
