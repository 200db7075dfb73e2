import { formatAddress, parseAddress } from "../../shared/address.ts";
import { dayMs } from "../../shared/durations.ts";
import { batchRowsMax, type Failure, type LocalBan, sampleLengthMax } from "../../shared/failure-batch.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { PositionStore } from "../store/positions.ts";
import type { JailEffects } from "./jail-effects.ts";
import type { WatchedJail } from "./watched-jail.ts";

export type JailFailure = Readonly<{ watched: WatchedJail; found: FoundFailure }>;

/** A stretch of a log: what was found in it, and where the log stands before and after it. Positions are JSON. */
export type Stretch = Readonly<{
  /** The log file's path, or the journal's name. */
  source: string;
  previous: unknown;
  position: unknown;
  /** This host's jails counted these lines before a restart: for the coordinator only. */
  seen: boolean;
  found: readonly JailFailure[];
}>;

/** Takes what a stretch brought for the coordinator. */
export type Report = (
  parcel: Readonly<{
    failures: readonly Failure[];
    localBans: readonly LocalBan[];
    positions: ReadonlyMap<string, unknown>;
  }>,
) => void;

export type DeliveryParts = Readonly<{
  effects: JailEffects;
  positions: PositionStore;
  /** null: the agent works alone, and its own positions are all there is. */
  report: Report | null;
  evidence: "minimal" | "lines";
  now: () => number;
}>;

/** What the coordinator's windows can still use; an agent started on a month-old log does not send the month. */
const reportAgeMaxMs = dayMs;

/** From a log's failures to the host's own jails and on to the coordinator, each exactly once. */
export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #saved;
  /** Logs whose place for the coordinator is known; a new one's is written down before its first lines are sent. */
  readonly #placed = new Set<string>();

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#saved = parts.positions.load();
    for (const [source, { kept }] of this.#saved) if (kept !== undefined) this.#placed.add(source);
  }

  /** Where each log was left by the last run. */
  get saved(): ReturnType<PositionStore["load"]> {
    return this.#saved;
  }

  async take(stretch: Stretch): Promise<void> {
    const nowMs = this.#parts.now();
    const localBans = stretch.seen ? [] : await this.#judge(stretch.found, nowMs);
    this.#deliver(stretch, localBans, nowMs);
  }

  /** The host's own jails: fail2ban's work. */
  async #judge(found: readonly JailFailure[], nowMs: number): Promise<LocalBan[]> {
    const decided = [];
    for (const { watched, found: failure } of found) {
      // Older than findtime: what fail2ban, too, skips when it catches up.
      if (failure.atMs < nowMs - watched.settings.findTimeMs) continue;
      const taken = watched.take(failure, nowMs);
      // Waiting for what is there already would cost as much as counting it.
      const decisions = taken instanceof Promise ? await taken : taken;
      for (const decision of decisions) decided.push({ watched, decision });
    }
    return decided.length === 0 ? [] : await this.#parts.effects.carryOut(decided, nowMs);
  }

  #deliver({ source, previous, position, found }: Stretch, localBans: readonly LocalBan[], nowMs: number): void {
    const { report, positions } = this.#parts;
    if (report !== null && !this.#placed.has(source)) {
      positions.saveKept(new Map([[source, previous]]), nowMs);
      this.#placed.add(source);
    }
    const after = new Map([[source, position]]);
    positions.saveSeen(after, nowMs);
    if (report !== null) reportInParts(report, this.#reported(found, nowMs), localBans, after);
  }

  /** Failures of addresses, equal ones of a second added up. */
  #reported(found: readonly JailFailure[], nowMs: number): Failure[] {
    const rows = new Map<string, Failure>();
    for (const { watched, found: failure } of found) {
      const address = failure.ip === null ? undefined : parseAddress(failure.ip);
      if (address === undefined || failure.atMs < nowMs - reportAgeMaxMs) continue;
      const { atMs, count } = failure;
      const jail = watched.jail.name;
      const text = formatAddress(address);
      const key = `${jail} ${text} ${Math.floor(atMs / 1000)}`;
      const known = rows.get(key);
      if (known !== undefined) rows.set(key, { ...known, count: known.count + count });
      else rows.set(key, { atMs, address: text, jail, count, ...this.#sample(failure.lines) });
    }
    return [...rows.values()];
  }

  #sample(lines: readonly string[]): Readonly<{ sample?: string }> {
    const line = this.#parts.evidence === "lines" ? lines.at(-1) : undefined;
    return line === undefined ? {} : { sample: line.slice(0, sampleLengthMax) };
  }
}

/** Rows beyond one batch go before, without a position: the position moves with the last of them. */
function reportInParts(
  report: Report,
  failures: readonly Failure[],
  localBans: readonly LocalBan[],
  positions: ReadonlyMap<string, unknown>,
): void {
  const rest = [...failures];
  const bans = [...localBans];
  while (rest.length + bans.length > batchRowsMax) {
    const some = rest.splice(0, batchRowsMax);
    report({ failures: some, localBans: bans.splice(0, batchRowsMax - some.length), positions: new Map() });
  }
  report({ failures: rest, localBans: bans, positions });
}
