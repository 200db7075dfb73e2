import { banPortsMax } from "../../shared/order.ts";
import { compileFilter } from "../filters/compile-filter.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { Filter } from "../filters/match-line.ts";
import type { BanHistories } from "../jails/ban-history.ts";
import { createIgnoreList, type IgnoreSources } from "../jails/ignore-list.ts";
import { createJail, type Jail, type JailDecision } from "../jails/jail.ts";
import type { JailSettings } from "../settings/jail-settings.ts";
import { namesOf } from "./host-names.ts";
import { runIgnoreCommand } from "./ignore-command.ts";

/** A jail at work: its filter, its counting, and what its bans stop. */
export type WatchedJail = Readonly<{
  settings: JailSettings;
  filter: Filter;
  jail: Jail;
  /** null = every port; undefined = this jail stops no packets (it only runs other actions). */
  ports: readonly number[] | null | undefined;
  /** Whether a failure may have to wait for an answer: of a name, or of the ignorecommand. */
  asks: boolean;
  /** What one failure leads to; a promise only where something must be asked. */
  take(found: FoundFailure, nowMs: number): readonly JailDecision[] | Promise<readonly JailDecision[]>;
  /** Asks for the addresses behind the names in `ignoreip`, and behind this host's own. */
  refreshNames(nowMs: number): Promise<void>;
}>;

export type JailParts = Readonly<{ histories: BanHistories; sources: IgnoreSources; random: () => number }>;

/** @throws Fleet2banError `invalid` when the filter cannot be used; the other jails go on */
export function openWatchedJail(settings: JailSettings, parts: JailParts): WatchedJail {
  const filter = compileFilter(settings.filter, { useDns: settings.useDns, timezone: settings.logTimezone });
  const ignoreList = createIgnoreList(settings, parts.sources);
  const jail = createJail(settings, { ignoreList, history: parts.histories, random: parts.random });
  return {
    settings,
    filter,
    jail,
    ports: portsOf(settings),
    asks: settings.useDns === "yes" || settings.useDns === "warn" || settings.ignoreCommand !== null,
    take,
    refreshNames: (nowMs) => ignoreList.refreshNames(nowMs),
  };

  function take(found: FoundFailure, nowMs: number): readonly JailDecision[] | Promise<readonly JailDecision[]> {
    if (found.name !== null) return takeNamed(found, nowMs);
    const decisions = jail.onFailure(found, nowMs);
    return decisions[0]?.kind === "ask" ? answered(decisions, nowMs) : decisions;
  }

  async function takeNamed(found: FoundFailure, nowMs: number): Promise<readonly JailDecision[]> {
    const decisions: JailDecision[] = [];
    for (const each of await namesOf(found, settings.useDns)) {
      decisions.push(...(await answered(jail.onFailure(each, nowMs), nowMs)));
    }
    return decisions;
  }

  async function answered(decisions: readonly JailDecision[], nowMs: number): Promise<readonly JailDecision[]> {
    const [asked] = decisions;
    if (asked?.kind !== "ask") return decisions;
    const ignored = await runIgnoreCommand(asked.command, asked.found);
    return jail.onIgnoreAnswer(asked.found, ignored, nowMs);
  }
}

/** The ports of all firewall actions together: packets to any of them are stopped once. */
function portsOf({ actions }: JailSettings): readonly number[] | null | undefined {
  const lists = actions.flatMap((action) => (action.kind === "firewall" ? [action.ports] : []));
  if (lists.length === 0) return undefined;
  const ports = new Set<number>();
  for (const list of lists) {
    if (list === null) return null;
    for (const port of list) ports.add(port);
  }
  return ports.size === 0 || ports.size > banPortsMax ? null : [...ports].toSorted((one, other) => one - other);
}
