import { minuteMs } from "../../shared/durations.ts";

/** A host reports every minute; what it said before that may be over. */
const claimAgeMaxMs = 3 * minuteMs;
/** A new life of the log makes every agent fetch everything. */
const pauseMs = 10 * minuteMs;
/** Hosts of the operator's own whose word is enough, when there are as many. */
const trustedHostsMin = 2;

export type Claim = Readonly<{
  host: string;
  /** Of a tenant the operator trusts like himself, and not in quarantine. */
  trusted: boolean;
}>;

/**
 * Hosts that hold orders the log does not have prove that the log was rewound: the database is an older copy. One host's
 * word proves nothing, because whoever owns it can make it say so. Pure.
 */
export class RewindWatch {
  readonly #claims = new Map<string, Readonly<{ trusted: boolean; atMs: number }>>();
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @param connected  hosts connected now. @returns whether the log must begin a new life */
  claim({ host, trusted }: Claim, connected: number, nowMs: number): boolean {
    for (const [other, { atMs }] of this.#claims) if (nowMs - atMs > claimAgeMaxMs) this.#claims.delete(other);
    this.#claims.set(host, { trusted, atMs: nowMs });
    if (nowMs - this.#lastMs < pauseMs) return false;
    const trustedClaims = [...this.#claims.values()].filter((each) => each.trusted).length;
    const believed = trustedClaims >= Math.min(trustedHostsMin, Math.max(1, connected));
    if (!believed && this.#claims.size * 2 <= connected) return false;
    this.#claims.clear();
    this.#lastMs = nowMs;
    return true;
  }
}
