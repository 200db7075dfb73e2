import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { systemIgnoreSources } from "../jails/system-ignore-sources.ts";
import type { Logger } from "../logger.ts";
import type { Settings } from "../settings/jail-settings.ts";
import type { BanStore } from "../store/bans.ts";
import type { JailEffects } from "./jail-effects.ts";
import { openWatchedJail, type WatchedJail } from "./watched-jail.ts";

export type OpenedJails = Readonly<{ jails: readonly WatchedJail[]; broken: readonly string[] }>;

/** Every jail that can run. One that cannot is named with its problem and stops nothing else. */
export function openJails(settings: Settings, histories: BanStore, log: Logger): OpenedJails {
  const broken = settings.broken.map(({ name, problem }) => `jail ${name} does not run: ${problem}`);
  const jails: WatchedJail[] = [];
  for (const each of settings.jails) {
    try {
      const watched = openWatchedJail(each, { histories, sources: systemIgnoreSources, random: Math.random });
      for (const warning of [...each.warnings, ...watched.filter.warnings]) {
        log.warn({ jail: each.name, warning, event: "jail_warning" }, "a jail's configuration is doubtful");
      }
      jails.push(watched);
    } catch (error) {
      if (!(error instanceof Fleet2banError)) throw error;
      broken.push(`jail ${each.name} does not run: ${messageOf(error)}`);
    }
  }
  for (const problem of broken) log.error({ problem, event: "jail_broken" }, "a jail does not run");
  return { jails, broken };
}

/** Bans of the last run, as their jails see them now; they reach the firewall with its first transaction. */
export async function restoreBans(
  jails: readonly WatchedJail[],
  store: BanStore,
  effects: JailEffects,
  nowMs: number,
): Promise<void> {
  const byName = new Map(jails.map((watched) => [watched.jail.name, watched]));
  const decided = store.standing(nowMs).flatMap((stored) => {
    const watched = byName.get(stored.jail);
    const decision = watched?.jail.restore({ ...stored, net: stored.net === "" ? null : stored.net }, nowMs);
    return watched === undefined || decision === undefined ? [] : [{ watched, decision }];
  });
  await effects.carryOut(decided, nowMs);
}
