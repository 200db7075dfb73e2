import { dayMs } from "../../shared/durations.ts";

/** Earlier bans of an id, for `bantime.increment`. `lastBanTimeMs` null = the last one was for ever. */
export type BanHistory = Readonly<{ bans: number; lastStartMs: number; lastBanTimeMs: number | null }>;

/** Where a jail looks earlier bans up: the agent's store, or `createBanHistory` for a replay. */
export type BanHistories = Readonly<{
  historyInJail(jail: string, id: string): BanHistory | undefined;
  /** Summed over all jails. */
  historyOverall(id: string): BanHistory | undefined;
}>;

/** As fail2ban's `dbpurgeage`, and its factor: who was banned long is remembered longer. */
const purgeAgeMs = dayMs;
const outdatedFactor = 3;

/** Histories in memory: what a replay needs in place of a database. */
export function createBanHistory() {
  /** id → jail → history */
  const known = new Map<string, Map<string, BanHistory>>();
  return {
    historyInJail: (jail: string, id: string): BanHistory | undefined => known.get(id)?.get(jail),

    historyOverall(id: string): BanHistory | undefined {
      const histories = [...(known.get(id)?.values() ?? [])];
      const latest = histories.toSorted((one, other) => other.lastStartMs - one.lastStartMs)[0];
      return latest && { ...latest, bans: histories.reduce((sum, history) => sum + history.bans, 0) };
    },

    record(jail: string, id: string, history: BanHistory): void {
      const ofId = known.get(id) ?? new Map<string, BanHistory>();
      known.set(id, ofId.set(jail, history));
    },

    /** A lift by hand takes the history along, as in fail2ban. */
    forget(jail: string, id: string): void {
      const ofId = known.get(id);
      if (ofId?.delete(jail) && ofId.size === 0) known.delete(id);
    },

    /** Drops what no longer counts. fail2ban does so every hour. */
    purge(nowMs: number): void {
      const beforeMs = nowMs - purgeAgeMs;
      for (const [id, ofId] of known) {
        for (const [jail, { lastStartMs, lastBanTimeMs }] of ofId) {
          if (lastBanTimeMs !== null && lastStartMs + lastBanTimeMs * outdatedFactor < beforeMs) ofId.delete(jail);
        }
        if (ofId.size === 0) known.delete(id);
      }
    },
  };
}
