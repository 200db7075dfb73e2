import { secondMs } from "../../shared/durations.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { JailSettings } from "../settings/jail-settings.ts";
import type { BanHistories } from "./ban-history.ts";
import { type Ban, createBanRegistry, netOf } from "./ban-registry.ts";
import { type BanTime, banTimeOf } from "./ban-time.ts";
import { FailureCounter } from "./count-failures.ts";
import type { IgnoredBy, IgnoreList } from "./ignore-list.ts";
import { restoredBan, type StoredBan } from "./restore-ban.ts";

export type JailRules = Pick<
  JailSettings,
  "name" | "maxRetry" | "maxMatches" | "findTimeMs" | "banTimeMs" | "increment"
>;

/** What a failure led to, in order. `counted` comes first, unless the failure was spared. */
export type JailDecision =
  | Readonly<{ kind: "ignored"; id: string; by: IgnoredBy }>
  /** Run the command, then tell `onIgnoreAnswer` whether it spares this failure. */
  | Readonly<{ kind: "ask"; command: string; found: FoundFailure }>
  | Readonly<{ kind: "counted"; id: string; atMs: number; retries: number }>
  /** A known offender: this failure counted more than once. */
  | Readonly<{ kind: "counted-bad"; id: string; atMs: number; earlierBans: number; weight: number; bans: boolean }>
  | BanDecision
  /** Banned already. `untilMs` is its end, later than before if `extended`. */
  | Readonly<{ kind: "already-banned"; id: string; atMs: number; untilMs: number | null; extended: boolean }>
  /** Old log: the ban would be over by now. */
  | Readonly<{ kind: "expired"; id: string }>
  /** The oldest ban gave way to a new one: the jail holds as many as it may. */
  | Readonly<{ kind: "given-up"; ban: Ban }>;

export type BanDecision = Readonly<{
  kind: "ban";
  id: string;
  /** What a firewall can stop; null when the id is a text without an address. */
  net: string | null;
  atMs: number;
  untilMs: number | null;
  banTimeMs: number | null;
  earlierBans: number;
  failures: number;
  lines: readonly string[];
  data: ReadonlyMap<string, string>;
  /** Not new: from the store after a restart. */
  restored: boolean;
}>;

export type JailParts = Readonly<{
  ignoreList: Pick<IgnoreList, "check" | "remember">;
  history: BanHistories;
  /** From 0 to below 1, for `bantime.rndtime`. */
  random: () => number;
}>;

/** fail2ban looks for stale counts this often, and at every hundredth line. */
const housekeepingMs = 5 * secondMs;
/** Earlier bans that still make each failure heavier. */
const weightDoublingsMax = 20;

/** One jail's decisions; see `Jail`. */
export function createJail(rules: JailRules, parts: JailParts): Jail {
  return new Jail(rules, parts);
}

/**
 * One jail: failures in, decisions out. It knows who is counted and who is banned, and asks nothing of the world but
 * what it is given. `nowMs` must not go back.
 */
export class Jail {
  readonly name: string;
  readonly #rules: JailRules;
  readonly #parts: JailParts;
  readonly #counter: FailureCounter;
  readonly #registry = createBanRegistry();
  readonly #banTime: BanTime;
  #nextHousekeepingMs = Number.NEGATIVE_INFINITY;

  constructor(rules: JailRules, parts: JailParts) {
    this.name = rules.name;
    this.#rules = rules;
    this.#parts = parts;
    this.#counter = new FailureCounter(rules);
    this.#banTime = banTimeOf(rules.banTimeMs, rules.increment);
  }

  onFailure(found: FoundFailure, nowMs: number): readonly JailDecision[] {
    const verdict = this.#parts.ignoreList.check(found, nowMs);
    if (verdict.kind === "ignored") return [{ kind: "ignored", id: found.id, by: verdict.by }];
    if (verdict.kind === "ask") return [{ kind: "ask", command: verdict.command, found }];
    return this.#count(found, nowMs);
  }

  /** The answer to `ask`. */
  onIgnoreAnswer(found: FoundFailure, ignored: boolean, nowMs: number): readonly JailDecision[] {
    this.#parts.ignoreList.remember(found, ignored, nowMs);
    return ignored ? [{ kind: "ignored", id: found.id, by: "command" }] : this.#count(found, nowMs);
  }

  /** Bans that are over; to be called every second. Also drops stale counts. */
  expire(nowMs: number): readonly Ban[] {
    this.#keepHouse(nowMs);
    return this.#registry.takeEnded(nowMs);
  }

  /** Counts an attempt entered by hand: one per line, at least one. Nobody is spared. */
  attempt(id: string, lines: readonly string[], nowMs: number): readonly JailDecision[] {
    const { retries } = this.#counter.add(id, nowMs, lines, Math.max(1, lines.length));
    const decisions: JailDecision[] = [{ kind: "counted", id, atMs: nowMs, retries }];
    this.#banIfFull(manual(id, lines, nowMs), nowMs, decisions);
    return decisions;
  }

  /** Bans by hand, with the jail's bantime. Nobody is spared here: never-ban is checked before the firewall. */
  ban(id: string, nowMs: number): readonly JailDecision[] {
    return this.#ban(manual(id, [], nowMs), 0, nowMs);
  }

  /** Lifts a ban by hand; undefined when there was none. Its count starts anew either way. */
  unban(id: string): Ban | undefined {
    this.#counter.forget(id);
    return this.#registry.take(id);
  }

  /** Takes a stored ban back after a restart; undefined if it is over, banned already, or spared by now. */
  restore(stored: StoredBan, nowMs: number): BanDecision | undefined {
    const ban = restoredBan(stored, this.#rules, nowMs);
    if (ban === undefined || this.#registry.get(stored.id) !== undefined) return undefined;
    const { lines, earlierBans } = stored;
    const found = { ...manual(stored.id, lines, stored.startMs), ip: stored.net };
    if (this.#parts.ignoreList.check(found, nowMs).kind === "ignored") return undefined;
    this.#registry.add(ban);
    const { id, net, startMs: atMs, untilMs } = ban;
    const banTimeMs = untilMs === null ? null : untilMs - atMs;
    const evidence = { failures: lines.length, lines, data: new Map<string, string>() };
    return { kind: "ban", id, net, atMs, untilMs, banTimeMs, earlierBans, ...evidence, restored: true };
  }

  bans(): Iterable<Ban> {
    return this.#registry.all();
  }

  banOf(id: string): Ban | undefined {
    return this.#registry.get(id);
  }

  countedIds(): number {
    return this.#counter.size;
  }

  #count(found: FoundFailure, nowMs: number): JailDecision[] {
    // The clock of a log may be ahead; a failure of the future would be counted for longer than findtime.
    const failure = found.atMs > nowMs ? { ...found, atMs: nowMs } : found;
    const { retries } = this.#counter.add(failure.id, failure.atMs, failure.lines, failure.count);
    const decisions: JailDecision[] = [{ kind: "counted", id: failure.id, atMs: failure.atMs, retries }];
    if (retries >= this.#rules.maxRetry) this.#banIfFull(failure, nowMs, decisions);
    if (this.#rules.increment !== null) this.#weighKnownOffender(failure, nowMs, decisions);
    this.#keepHouse(nowMs);
    return decisions;
  }

  /** Each failure of an id banned before in this jail counts 2, 3, 5, 9 … times, at most maxretry. */
  #weighKnownOffender(failure: FoundFailure, nowMs: number, decisions: JailDecision[]): void {
    const history = this.#parts.history.historyInJail(this.#rules.name, failure.id);
    if (history === undefined || failure.atMs <= history.lastStartMs) return;
    const weight = Math.min(2 ** Math.min(history.bans, weightDoublingsMax) / 2 + 1, this.#rules.maxRetry);
    if (weight <= 1) return;
    const counted = this.#counter.get(failure.id);
    const bans = weight >= this.#rules.maxRetry;
    const { id, atMs } = failure;
    decisions.push({ kind: "counted-bad", id, atMs, earlierBans: history.bans, weight, bans });
    if (counted === undefined) return;
    this.#counter.add(id, atMs, [], weight - 1);
    this.#banIfFull(failure, nowMs, decisions);
  }

  #banIfFull(failure: FoundFailure, nowMs: number, decisions: JailDecision[]): void {
    const tally = this.#counter.takeFull(failure.id);
    if (tally === undefined) return;
    const { id, lines, failures, lastMs } = tally;
    decisions.push(...this.#ban({ ...failure, id, atMs: lastMs, lines }, failures, nowMs));
  }

  #ban(failure: FoundFailure, failures: number, nowMs: number): readonly JailDecision[] {
    const { id, atMs } = failure;
    const baseUntilMs = endOf(atMs, this.#rules.banTimeMs);
    if (baseUntilMs !== null && baseUntilMs < nowMs) return [{ kind: "expired", id }];
    const standing = this.#registry.get(id);
    if (standing !== undefined) {
      const extended = isLater(baseUntilMs, standing.untilMs);
      const untilMs = extended ? endOf(Math.max(atMs, standing.startMs), this.#rules.banTimeMs) : standing.untilMs;
      if (extended) this.#registry.extend(standing, untilMs);
      return [{ kind: "already-banned", id, atMs, untilMs, extended }];
    }
    const earlierBans = this.#earlierBans(id);
    const banTimeMs = this.#banTime(earlierBans, this.#parts.random());
    const untilMs = endOf(atMs, banTimeMs);
    const net = netOf(failure);
    const givenUp = this.#registry.add({ id, net, startMs: atMs, untilMs });
    const { lines, data } = failure;
    const made = { id, net, atMs, untilMs, banTimeMs, earlierBans, failures, lines, data, restored: false };
    return [...(givenUp === undefined ? [] : [{ kind: "given-up", ban: givenUp } as const]), { kind: "ban", ...made }];
  }

  /** Looked up in the store only where bans grow: a burst of bans has no time for questions nobody needs. */
  #earlierBans(id: string): number {
    const { increment, name } = this.#rules;
    if (increment === null) return 0;
    const { history } = this.#parts;
    const known = increment.overAllJails ? history.historyOverall(id) : history.historyInJail(name, id);
    return known?.bans ?? 0;
  }

  #keepHouse(nowMs: number): void {
    if (nowMs < this.#nextHousekeepingMs) return;
    this.#nextHousekeepingMs = nowMs + housekeepingMs;
    this.#counter.dropStale(nowMs);
  }
}

/** Null = for ever; `isLater` and the registry know it as later than everything. */
function endOf(atMs: number, banTimeMs: number | null): number | null {
  return banTimeMs === null ? null : Math.round(atMs + banTimeMs);
}

function isLater(untilMs: number | null, thanMs: number | null): boolean {
  return thanMs !== null && (untilMs === null || untilMs > thanMs);
}

function manual(id: string, lines: readonly string[], nowMs: number): FoundFailure {
  return { id, ip: null, name: null, atMs: nowMs, user: null, users: null, count: 1, lines, data: new Map() };
}
