import type { JailSettings } from "../settings/jail-settings.ts";
import type { Ban } from "./ban-registry.ts";

/** A ban as the agent's store, or fail2ban's database, keeps it over a restart. */
export type StoredBan = Readonly<{
  id: string;
  net: string | null;
  startMs: number;
  untilMs: number | null;
  earlierBans: number;
  lines: readonly string[];
}>;

/**
 * The stored ban under the jail's present rules, or undefined when it is over. As in fail2ban: without
 * `bantime.increment` a ban lasts at most today's bantime, with it at most `bantime.maxtime`.
 */
export function restoredBan(
  stored: StoredBan,
  rules: Pick<JailSettings, "banTimeMs" | "increment">,
  nowMs: number,
): Ban | undefined {
  const longestMs = rules.increment === null ? rules.banTimeMs : rules.increment.maxTimeMs;
  let untilMs = stored.untilMs;
  if (longestMs !== null) untilMs = Math.min(untilMs ?? Number.POSITIVE_INFINITY, stored.startMs + longestMs);
  if (untilMs !== null && untilMs <= nowMs) return undefined;
  return { id: stored.id, net: stored.net, startMs: stored.startMs, untilMs };
}
