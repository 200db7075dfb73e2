import { secondMs } from "../../shared/durations.ts";

/** One process of 7 ms of CPU each time, where the firewall can be asked at all; elements that are gone let attackers in. */
const everyMs = 30 * secondMs;
/** Until what was lost is there again: whoever looks at a host that does not enforce must see when it does. */
const everyMsLost = 5 * secondMs;

export type CanaryParts = Readonly<{
  /** undefined = the firewall cannot be asked. */
  holds: (net: string) => Promise<boolean | undefined>;
  /** It is ordered and not stopped: somebody emptied our sets, which a look at our rules does not show. */
  lost: () => void;
  /** The result is another one than before. */
  changed: () => void;
}>;

/** Asks the firewall whether it stops what the coordinator orders everybody to stop, as a proof that orders are carried out. */
export class CanaryCheck {
  readonly #parts: CanaryParts;
  #net: string | undefined;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #result: boolean | undefined;

  constructor(parts: CanaryParts) {
    this.#parts = parts;
  }

  /** undefined = nobody ordered one, or the firewall cannot be asked. */
  get result(): boolean | undefined {
    return this.#result;
  }

  /** To be called every few seconds. @param net  what the coordinator's orders name now */
  async tick(net: string | undefined, nowMs: number): Promise<void> {
    const pauseMs = this.#result === false ? everyMsLost : everyMs;
    if (net === this.#net && nowMs - this.#checkedMs < pauseMs) return;
    // An order that has just come is on its way into the firewall.
    const fresh = net !== this.#net;
    this.#net = net;
    this.#checkedMs = fresh ? Number.NEGATIVE_INFINITY : nowMs;
    const before = this.#result;
    if (fresh) this.#result = undefined;
    if (fresh || net === undefined) return;
    this.#result = await this.#parts.holds(net).catch(() => undefined);
    if (this.#result === false && before !== false) this.#parts.lost();
    if (before !== this.#result) this.#parts.changed();
  }
}
