import { secondMs } from "../../shared/durations.ts";

/** An agent sends 20 batches a second at the very most, and asks for a snapshot of a million bans in 250 pieces. */
const burst = 1_000;
const perSecond = 50;

/** How many messages each host may still have heard, refilling with time. */
export class HostRates {
  readonly #used = new Map<string, { count: number; atMs: number }>();

  /** @returns false for one message too many: it is to be dropped; an honest agent sends it again */
  admit(host: string, nowMs: number): boolean {
    const known = this.#used.get(host) ?? { count: 0, atMs: nowMs };
    const count = Math.max(0, known.count - (Math.max(0, nowMs - known.atMs) / secondMs) * perSecond);
    const admitted = count + 1 <= burst;
    this.#used.set(host, { count: admitted ? count + 1 : count, atMs: nowMs });
    return admitted;
  }

  /** Forgets hosts that have everything back. */
  prune(nowMs: number): void {
    for (const [host, { count, atMs }] of this.#used) {
      if (((nowMs - atMs) / secondMs) * perSecond >= count) this.#used.delete(host);
    }
  }
}
