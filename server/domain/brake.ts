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
    this.#startsMs.push(startMs);
  }

  isOn(nowMs: number): boolean {
    // Starts are noted in order of the clock, so the old ones are in front.
    const firstRecent = this.#startsMs.findIndex((startMs) => nowMs - startMs <= minuteMs);
    if (firstRecent !== 0) this.#startsMs = firstRecent < 0 ? [] : this.#startsMs.slice(firstRecent);
    return this.#startsMs.length >= this.#perMinute;
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
