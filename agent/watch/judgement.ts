import { formatAddress, parseAddress } from "../../shared/address.ts";
import { dayMs } from "../../shared/durations.ts";
import { type Failure, sampleLengthMax } from "../../shared/failure-batch.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { JailDecision } from "../jails/jail.ts";
import type { JailEffects } from "./jail-effects.ts";
import type { WatchedJail } from "./watched-jail.ts";

export type Decided = Readonly<{ watched: WatchedJail; decision: JailDecision }>;

export type JudgementParts = Readonly<{
  effects: Pick<JailEffects, "counted">;
  /** Whether the coordinator hears of failures, and what of their lines. */
  reports: boolean;
  evidence: "minimal" | "lines";
  nowMs: number;
  /** This host's jails counted these lines before a restart: for the coordinator only. */
  seen: boolean;
}>;

/** What the coordinator's windows can still use; an agent started on a month-old log does not send the month. */
const reportAgeMaxMs = dayMs;

/**
 * What the failures of one stretch of a log lead to. Each is counted while the stretch is still being searched, so that
 * nothing of it must be kept: those of a megabyte were 10 MB, and the garbage collector copied all of it several times.
 */
export class Judgement {
  readonly #parts: JudgementParts;
  readonly #decided: Decided[] = [];
  /** Of jails that may have to wait for an answer: these count one failure after the other. */
  readonly #waiting: Readonly<{ watched: WatchedJail; found: FoundFailure }>[] = [];
  readonly #rows = new Map<string, Failure>();

  constructor(parts: JudgementParts) {
    this.#parts = parts;
  }

  /** Failures of addresses for the coordinator, equal ones of a second added up. */
  get failures(): IterableIterator<Failure> {
    return this.#rows.values();
  }

  add(watched: WatchedJail, found: FoundFailure): void {
    const { seen, reports, nowMs } = this.#parts;
    if (reports) this.#note(watched, found);
    // Older than findtime: what fail2ban, too, skips when it catches up.
    if (seen || found.atMs < nowMs - watched.settings.findTimeMs) return;
    if (watched.asks) {
      this.#waiting.push({ watched, found });
      return;
    }
    const decisions = watched.take(found, nowMs);
    if (decisions instanceof Promise) throw new Error(`jail ${watched.jail.name} asks without saying so`);
    this.#decide(watched, decisions);
  }

  /** What the host's own jails decided, once all of them have their answers. */
  async decided(): Promise<readonly Decided[]> {
    for (const { watched, found } of this.#waiting) this.#decide(watched, await watched.take(found, this.#parts.nowMs));
    return this.#decided;
  }

  #decide(watched: WatchedJail, decisions: readonly JailDecision[]): void {
    for (const decision of decisions) {
      if (decision.kind !== "counted" || this.#parts.effects.counted(watched))
        this.#decided.push({ watched, decision });
    }
  }

  #note({ jail: { name: jail } }: WatchedJail, { ip, atMs, count, lines }: FoundFailure): void {
    const address = ip === null ? undefined : parseAddress(ip);
    if (address === undefined || atMs < this.#parts.nowMs - reportAgeMaxMs) return;
    const text = formatAddress(address);
    const key = `${jail} ${text} ${Math.floor(atMs / 1000)}`;
    const known = this.#rows.get(key);
    if (known !== undefined) this.#rows.set(key, { ...known, count: known.count + count });
    else this.#rows.set(key, { atMs, address: text, jail, count, ...this.#sample(lines) });
  }

  #sample(lines: readonly string[]): Readonly<{ sample?: string }> {
    const line = this.#parts.evidence === "lines" ? lines.at(-1) : undefined;
    return line === undefined ? {} : { sample: line.slice(0, sampleLengthMax) };
  }
}
