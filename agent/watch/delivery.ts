import { batchRowsMax, type Failure, type LocalBan } from "../../shared/failure-batch.ts";
import type { PositionStore } from "../store/positions.ts";
import type { JailEffects } from "./jail-effects.ts";
import { Judgement } from "./judgement.ts";

/** A stretch of a log: what is made of it, and where the log stands before and after it. Positions are JSON. */
export type Stretch = Readonly<{
  /** The log file's path, or the journal's name. */
  source: string;
  previous: unknown;
  position: unknown;
  judgement: Judgement;
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

  /** For the failures of a stretch, from before it is searched. */
  judge(seen: boolean): Judgement {
    const { effects, report, evidence, now } = this.#parts;
    return new Judgement({ effects, reports: report !== null, evidence, nowMs: now(), seen });
  }

  async take({ source, previous, position, judgement }: Stretch): Promise<void> {
    const { effects, report, positions, now } = this.#parts;
    const decided = await judgement.decided();
    const nowMs = now();
    const localBans = decided.length === 0 ? [] : await effects.carryOut(decided, nowMs);
    if (report !== null && !this.#placed.has(source)) {
      positions.saveKept(new Map([[source, previous]]), nowMs);
      this.#placed.add(source);
    }
    const after = new Map([[source, position]]);
    positions.saveSeen(after, nowMs);
    if (report !== null) reportInParts(report, [...judgement.failures], localBans, after);
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
