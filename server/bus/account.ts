import { secondMs } from "../../shared/durations.ts";
import { accountJwt, agentJwtSeconds, forGood, type Revocations } from "./jwt.ts";
import type { BusKeys } from "./keys.ts";

/**
 * The account of the fleet as it now is. Its JWT grows by 93 bytes per revocation, so those are forgotten once no
 * credentials from before them can still be valid.
 */
export class Account {
  readonly #keys: BusKeys;
  readonly #revoked: Map<string, number>;
  #issuedMs = 0;
  #jwt = "";

  /** @param revocations  all there are, from the store: a server started with fewer would let a revoked agent in */
  constructor(keys: BusKeys, revocations: Revocations, nowMs: number) {
    this.#keys = keys;
    this.#revoked = new Map(revocations);
    this.#issue(nowMs);
  }

  get publicKey(): string {
    return this.#keys.account.publicKey;
  }

  /** The newest. */
  get jwt(): string {
    return this.#jwt;
  }

  /** Whoever holds this key is let in never again, once the server has the new JWT. */
  revoke(publicKey: string, nowMs: number): void {
    this.#revoked.set(publicKey, forGood(nowMs));
    this.#issue(nowMs);
  }

  /** Credentials of this key that were issued up to `untilMs` are worth nothing; later ones are. */
  endCredentials(publicKey: string, untilMs: number, nowMs: number): void {
    this.#revoked.set(publicKey, Math.max(untilMs, this.#revoked.get(publicKey) ?? 0));
    this.#issue(nowMs);
  }

  #issue(nowMs: number): void {
    const forgetMs = nowMs - agentJwtSeconds * secondMs;
    for (const [publicKey, atMs] of this.#revoked) if (atMs < forgetMs) this.#revoked.delete(publicKey);
    // Servers keep the JWT that was issued later, and compare whole seconds.
    this.#issuedMs = Math.max(nowMs, this.#issuedMs + secondMs);
    this.#jwt = accountJwt(this.#keys, this.#revoked, this.#issuedMs);
  }
}
