import { formatShort, parseNet } from "../../shared/address.ts";
import type { FoundFailure } from "../filters/found-failure.ts";

/** One standing ban of one jail. `untilMs` null = for ever. */
export type Ban = Readonly<{ id: string; net: string | null; startMs: number; untilMs: number | null }>;

/** Standing bans of one jail: as many as the agent's store keeps. Beyond it the oldest is lifted for the newest. */
export const bansMax = 100_000;

/** Who is banned by one jail, and until when. */
export function createBanRegistry() {
  const bans = new Map<string, Ban>();
  /** No ban ends before this, so most seconds need no look at the bans. */
  let nextEndMs = Number.POSITIVE_INFINITY;

  return {
    get: (id: string): Ban | undefined => bans.get(id),
    all: (): Iterable<Ban> => bans.values(),

    /** Adds a ban. Returns the one that had to go for it. */
    add(ban: Ban): Ban | undefined {
      const oldest = bans.size >= bansMax ? bans.values().next().value : undefined;
      if (oldest !== undefined) bans.delete(oldest.id);
      bans.set(ban.id, ban);
      if (ban.untilMs !== null) nextEndMs = Math.min(nextEndMs, ban.untilMs);
      return oldest;
    },

    extend(ban: Ban, untilMs: number | null): void {
      bans.set(ban.id, { ...ban, untilMs });
    },

    take(id: string): Ban | undefined {
      const ban = bans.get(id);
      bans.delete(id);
      return ban;
    },

    /** Takes out what is over. A ban still holds in the millisecond it ends. */
    takeEnded(nowMs: number): readonly Ban[] {
      if (nowMs <= nextEndMs) return [];
      const ended: Ban[] = [];
      nextEndMs = Number.POSITIVE_INFINITY;
      for (const ban of bans.values()) {
        if (ban.untilMs === null) continue;
        if (ban.untilMs < nowMs) {
          ended.push(ban);
          bans.delete(ban.id);
        } else nextEndMs = Math.min(nextEndMs, ban.untilMs);
      }
      return ended;
    },
  };
}

/** What a firewall can stop of this failure: its address or, without one, an id that is an address or a network. */
export function netOf(failure: Pick<FoundFailure, "id" | "ip">): string | null {
  const net = parseNet(failure.ip ?? failure.id) ?? parseNet(failure.id);
  return net === undefined ? null : formatShort(net);
}
