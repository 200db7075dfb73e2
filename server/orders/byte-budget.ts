import { secondMs } from "../../shared/durations.ts";

/** Ten snapshots of 100 000 bans at once, for an agent that has a bad day … */
const burstBytes = 16 * 1024 * 1024;
/** … and one in 16 seconds after that, for one that asks in a loop. */
const bytesPerSecond = 64 * 1024;

/** What each host may still have sent, refilling with time. Bounded by the number of hosts: full ones are forgotten. */
export class ByteBudget {
  readonly #spent = new Map<string, { bytes: number; atMs: number }>();

  /** @returns whether the host may have these bytes; if so they are spent */
  take(host: string, bytes: number, nowMs: number): boolean {
    const known = this.#spent.get(host);
    const refilled = known === undefined ? 0 : ((nowMs - known.atMs) / secondMs) * bytesPerSecond;
    const spent = Math.max(0, (known?.bytes ?? 0) - Math.max(0, refilled));
    if (spent + bytes > burstBytes) return false;
    this.#spent.set(host, { bytes: spent + bytes, atMs: nowMs });
    return true;
  }

  /** Forgets hosts that have everything back. */
  prune(nowMs: number): void {
    const fullAgainMs = (burstBytes / bytesPerSecond) * secondMs;
    for (const [host, { atMs }] of this.#spent) if (nowMs - atMs > fullAgainMs) this.#spent.delete(host);
  }
}
