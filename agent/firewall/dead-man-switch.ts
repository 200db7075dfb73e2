import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { calm, type DeadManEvent, type DeadManState, stepDeadMan } from "./dead-man.ts";

export type DeadManParts = Readonly<{
  /** Whether the coordinator, or the probe that is configured, answers now. */
  reach: () => Promise<boolean>;
  /** Takes elements out of the firewall, by key. */
  hold: (keys: readonly string[]) => void;
  release: (keys: readonly string[]) => void;
  log: Logger;
}>;

/** How often reach is asked while nothing is in doubt, and while something is. */
const reachEveryMs = { calm: 30_000, doubt: 5_000 } as const;
const sampleMax = 20;

/** Feeds the dead man's state machine with the clock and with answers, and does what it says. */
export class DeadManSwitch {
  readonly #parts: DeadManParts;
  #state: DeadManState = calm;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: DeadManParts) {
    this.#parts = parts;
  }

  /** New elements are in the firewall. Times are of a clock that nobody can set. */
  changed(keys: readonly string[], nowMs: number): void {
    this.#handle({ kind: "changed", keys }, nowMs);
  }

  /** To be called every second. */
  tick(nowMs: number): void {
    const doubt = this.#state.unproven.length > 0 || this.#state.rolledBack !== null;
    if (nowMs - this.#askedMs >= reachEveryMs[doubt ? "doubt" : "calm"]) {
      this.#askedMs = nowMs;
      this.#parts.reach().then(
        (reached) => reached && this.#handle({ kind: "reached", sentMs: nowMs }, nowMs),
        (error: unknown) => this.#parts.log.debug({ problem: messageOf(error) }, "nobody answers"),
      );
    }
    this.#handle({ kind: "tick" }, nowMs);
  }

  #handle(event: DeadManEvent, nowMs: number): void {
    const { state, hold, release, verdict, keys } = stepDeadMan(this.#state, event, nowMs);
    this.#state = state;
    if (hold.length > 0) this.#parts.hold(hold);
    if (release.length > 0) this.#parts.release(release);
    if (verdict === null) return;
    const fields = { event: "dead_man", verdict, bans: keys.length, sample: keys.slice(0, sampleMax) };
    this.#parts.log[verdict === "innocent" ? "info" : "error"](fields, `dead man's switch: ${sentences[verdict]}`);
  }
}

const sentences = {
  "rolled back": "cut off after bans came into force, took them back to see whether they are why",
  guilty: "within reach again without these bans, they stay out",
  innocent: "still cut off without these bans, they are in force again",
} as const;
