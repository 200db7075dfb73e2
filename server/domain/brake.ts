import { formatNet, type Net } from "../../shared/address.ts";
import { minuteMs } from "../../shared/durations.ts";
import type { Scope } from "../../shared/order.ts";
import type { StoppedDecision } from "./judge.ts";

/** Held bans remembered for an admin. Beyond, the oldest are forgotten: nobody reviews more, and the attacker comes again. */
const heldMax = 10_000;

/** The fleet's brake: how many automatic fleet bans started in the last minute, and what was held instead. */
export class Brake {
  #startsMs: number[] = [];
  readonly #held = new Map<string, StoppedDecision>();
  readonly #perMinute: number;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  note(startMs: number): void {
    // Another coordinator's clock may be a little behind ours: the old ones stay in front.
    let index = this.#startsMs.length;
    while (index > 0 && (this.#startsMs[index - 1] ?? 0) > startMs) index -= 1;
    if (index === this.#startsMs.length) this.#startsMs.push(startMs);
    else this.#startsMs.splice(index, 0, startMs);
  }

  isOn(nowMs: number): boolean {
    return this.count(nowMs) >= this.#perMinute;
  }

  /** Automatic fleet bans that started in the last minute. */
  count(nowMs: number): number {
    const firstRecent = this.#startsMs.findIndex((startMs) => nowMs - startMs <= minuteMs);
    if (firstRecent !== 0) this.#startsMs = firstRecent < 0 ? [] : this.#startsMs.slice(firstRecent);
    return this.#startsMs.length;
  }

  hold(decision: StoppedDecision): void {
    const key = keyOf(decision);
    this.#held.delete(key);
    this.#held.set(key, decision);
    const [oldest] = this.#held.keys();
    if (this.#held.size > heldMax && oldest !== undefined) this.#held.delete(oldest);
  }

  take(net: string, scope: Scope): StoppedDecision | undefined {
    const decision = this.#held.get(keyOf({ net, scope }));
    if (decision !== undefined) this.#held.delete(keyOf(decision));
    return decision;
  }

  drop(net: Net, scope: Scope): void {
    this.take(formatNet(net), scope);
  }

  held(): readonly StoppedDecision[] {
    return [...this.#held.values()];
  }
}

const keyOf = (ban: Readonly<{ net: string; scope: Scope }>): string => `${ban.scope} ${ban.net}`;
