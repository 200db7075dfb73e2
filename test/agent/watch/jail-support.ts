import type { JailSettings } from "../../../agent/settings/jail-settings.ts";
import { openWatchedJail, type WatchedJail } from "../../../agent/watch/watched-jail.ts";

/** What an ignore list may ask of its host: nothing is there. */
export const noWorld = {
  selfAddresses: () => [],
  selfNames: () => [],
  fileVersion: () => undefined,
  readFile: () => undefined,
  resolve: async () => [],
};
const histories = { historyInJail: () => undefined, historyOverall: () => undefined };

/** A jail at work that reads `/log`; what is not said is as fail2ban has it. */
export function jailOf(settings: Partial<JailSettings> & Pick<JailSettings, "filter">): WatchedJail {
  const usual = {
    name: settings.filter.name,
    source: "file",
    logPaths: [{ glob: "/log", start: "head" }],
    journalMatches: [],
    journal: null,
    logEncoding: "utf-8",
    logTimezone: "UTC",
    useDns: "no",
    maxRetry: 5,
    maxMatches: 5,
    findTimeMs: 600_000,
    banTimeMs: 600_000,
    increment: null,
    ignoreSelf: false,
    ignoreIp: [],
    ignoreCommand: null,
    ignoreCache: null,
    actions: [],
    warnings: [],
  } as const;
  return openWatchedJail({ ...usual, ...settings }, { histories, sources: noWorld, random: () => 0 });
}
