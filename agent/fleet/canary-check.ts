import { minuteMs } from "../../shared/durations.ts";

/** One process each time, where the firewall can be asked at all. */
const everyMs = 5 * minuteMs;

/** Asks the firewall whether it stops what the coordinator orders everybody to stop, as a proof that orders are carried out. */
export class CanaryCheck {
  readonly #holds: (net: string) => Promise<boolean | undefined>;
  #net: string | undefined;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #result: boolean | undefined;

  constructor(holds: (net: string) => Promise<boolean | undefined>) {
    this.#holds = holds;
  }

  /** undefined = nobody ordered one, or the firewall cannot be asked. */
  get result(): boolean | undefined {
    return this.#result;
  }

  /** To be called every few seconds. @param net  what the coordinator's orders name now */
  async tick(net: string | undefined, nowMs: number): Promise<void> {
    if (net === this.#net && nowMs - this.#checkedMs < everyMs) return;
    // An order that has just come is on its way into the firewall.
    const fresh = net !== this.#net;
    this.#net = net;
    this.#result = fresh ? undefined : this.#result;
    this.#checkedMs = fresh ? Number.NEGATIVE_INFINITY : nowMs;
    if (fresh || net === undefined) return;
    this.#result = await this.#holds(net).catch(() => undefined);
  }
}
