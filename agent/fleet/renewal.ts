import { hourMs, minuteMs } from "../../shared/durations.ts";
import type { AgentCredentials } from "../../shared/enrollment.ts";
import { decodeMessage, JwtRenewal } from "../../shared/fleet-messages.ts";
import { isAnnouncedBy, type NextOrderKey } from "../../shared/next-order-key.ts";
import type { Logger } from "../logger.ts";
import { jwtSpanOf, orderKeyOf } from "./credentials.ts";

export type RenewalParts = Readonly<{
  credentials: AgentCredentials;
  /** To the credentials file. */
  save: (credentials: AgentCredentials) => void;
  /** False when cut off. */
  askForJwt: () => boolean;
  reconnect: () => void;
  /** This host belongs to another tenant now; called before `reconnect`, which follows at once. */
  onTenant: (tenant: string) => void;
  now: () => number;
  random: () => number;
  log: Logger;
}>;

/** Credentials are renewed when half their life is over, a tenth earlier or later, so that a fleet does not do it at once. */
const renewAt = { middle: 0.5, jitter: 0.1 } as const;
const askAgainMs = 10 * minuteMs;
/** The server ends a connection whose credentials end; coming back before that happens when it suits us. */
const reconnectWithinMs = hourMs;
/** Timers of Node overflow at 24.8 days. */
const timerMsMax = 20 * 24 * hourMs;

/** Keeps the agent's credentials fresh. They only ever say what the coordinator says again. */
export class Renewal implements Disposable {
  readonly #parts: RenewalParts;
  #credentials: AgentCredentials;
  #timer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
    this.#credentials = parts.credentials;
    this.#schedule();
  }

  get credentials(): AgentCredentials {
    return this.#credentials;
  }

  /** The coordinator's answer. @throws Fleet2banError `invalid` */
  receive(payload: Uint8Array): void {
    const { jwt, tenant, nextOrderKey } = decodeMessage(JwtRenewal, payload, "renewed credentials");
    jwtSpanOf(jwt);
    const before = this.#credentials.tenant;
    this.#credentials = { ...this.#credentials, ...this.#announced(nextOrderKey), jwt, tenant };
    this.#parts.save(this.#credentials);
    this.#parts.log.info({ event: "jwt_renewed" }, "renewed the agent's credentials");
    this.#schedule();
    clearTimeout(this.#reconnectTimer);
    if (tenant !== before) {
      this.#parts.log.warn({ tenant, before, event: "tenant_changed" }, "this host has a new tenant");
      this.#parts.onTenant(tenant);
      this.#parts.reconnect();
      return;
    }
    this.#reconnectTimer = setTimeout(this.#parts.reconnect, this.#parts.random() * reconnectWithinMs);
  }

  /** The coordinator signs with the key that was to follow: the one before it is worth nothing any more. */
  followKey(): void {
    const { orderKeyNext, ...rest } = this.#credentials;
    if (orderKeyNext === undefined) return;
    this.#credentials = { ...rest, orderKey: orderKeyNext };
    this.#parts.save(this.#credentials);
    this.#parts.log.warn({ event: "order_key_changed" }, "the coordinator's order key has changed, as was announced");
  }

  #announced(next: NextOrderKey | undefined): Partial<AgentCredentials> {
    if (next === undefined || next.key === this.#credentials.orderKey) return {};
    if (isAnnouncedBy(next, orderKeyOf(this.#credentials))) return { orderKeyNext: next.key };
    this.#parts.log.error(
      { event: "order_key_refused" },
      "refused a new order key that the one in use does not vouch for",
    );
    return {};
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#reconnectTimer);
  }

  #schedule(): void {
    const { issuedMs, endMs } = jwtSpanOf(this.#credentials.jwt);
    if (endMs === null) return;
    const part = renewAt.middle + (this.#parts.random() * 2 - 1) * renewAt.jitter;
    this.#askIn(issuedMs + (endMs - issuedMs) * part - this.#parts.now());
  }

  #askIn(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#parts.askForJwt();
        this.#askIn(askAgainMs);
      },
      Math.min(Math.max(delayMs, 0), timerMsMax),
    );
  }
}
