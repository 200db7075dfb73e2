import type { Order, Scope } from "../shared/order.ts";

/** Bans of one scope that hosts may still be about to report; a burst larger than this is measured in part. */
const bansMax = 1000;
/** What the percentiles look back on. */
const samplesMax = 10_000;

type Stretch = Readonly<{ scope: Scope; from: number; orders: readonly Order[] }>;
type Position = Readonly<{ scope: Scope; revision: number }>;

/** How long bans take until hosts say that they enforce them. In memory: after a restart it is measured anew. */
export class BanLatency {
  readonly #bans = new Map<Scope, { revision: number; atMs: number }[]>();
  /** By host and scope, what it reported last. */
  readonly #reported = new Map<string, number>();
  readonly #samplesMs: number[] = [];
  #next = 0;
  readonly #observe: (ms: number) => void;

  constructor(observe: (ms: number) => void) {
    this.#observe = observe;
  }

  /** Orders were committed and are on their way. */
  ordered({ scope, from, orders }: Stretch, atMs: number): void {
    const bans = this.#bans.get(scope) ?? [];
    for (const [index, order] of orders.entries()) {
      if (order.kind === "ban") bans.push({ revision: from + index + 1, atMs });
    }
    this.#bans.set(scope, bans.slice(-bansMax));
  }

  /** A host says how far it has come. The first word of a host is about the past and measures nothing. */
  reported(host: string, positions: readonly Position[], atMs: number): void {
    for (const { scope, revision } of positions) {
      const key = `${host} ${scope}`;
      const before = this.#reported.get(key);
      this.#reported.set(key, revision);
      if (before === undefined || before >= revision) continue;
      for (const ban of this.#bans.get(scope) ?? []) {
        if (ban.revision > before && ban.revision <= revision) this.#add(Math.max(0, atMs - ban.atMs));
      }
    }
  }

  /** null before there was any. */
  summary(): Readonly<{ p50Ms: number; p99Ms: number; samples: number }> | null {
    const sorted = this.#samplesMs.toSorted((one, other) => one - other);
    if (sorted.length === 0) return null;
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { p50Ms: at(0.5), p99Ms: at(0.99), samples: sorted.length };
  }

  #add(ms: number): void {
    this.#samplesMs[this.#next] = ms;
    this.#next = (this.#next + 1) % samplesMax;
    this.#observe(ms);
  }
}
