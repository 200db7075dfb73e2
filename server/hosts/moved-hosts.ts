import { secondMs } from "../../shared/durations.ts";
import { forGood, type Revocations } from "../bus/jwt.ts";
import type { HostRecord } from "../store/hosts.ts";

/** An agent has its new credentials, and uses them, within a second; one that does not after this does not want them. */
const patienceMs = 60 * secondMs;

type Move = { readonly movedMs: number; firstToldMs: number | undefined; told: boolean };

/**
 * Hosts that were moved to another tenant and may still hold credentials that let them hear the one they left. Those end
 * when the host has come with later ones, or has been told for long enough; a host that is away keeps them until it is
 * back, because with nothing else could it ever fetch the new ones. Pure: whoever holds it acts.
 */
export class MovedHosts {
  readonly #moves = new Map<string, Move>();

  /** Credentials of this host that were issued up to `movedMs` are to end. */
  add(host: string, movedMs: number): void {
    if ((this.#moves.get(host)?.movedMs ?? Number.NEGATIVE_INFINITY) < movedMs) {
      this.#moves.set(host, { movedMs, firstToldMs: undefined, told: false });
    }
  }

  /** Up to when credentials of this host are to end; undefined when it was not moved. */
  movedMs(host: string): number | undefined {
    return this.#moves.get(host)?.movedMs;
  }

  /** Its old credentials have ended. */
  delete(host: string): void {
    this.#moves.delete(host);
  }

  /**
   * To be called every few seconds.
   *
   * @returns whom to send the new credentials now, and whose old ones are to end although it has not come with others
   */
  review(isConnected: (host: string) => boolean, nowMs: number): Readonly<{ tell: string[]; end: string[] }> {
    const [tell, end]: [string[], string[]] = [[], []];
    for (const [host, move] of this.#moves) {
      if (!isConnected(host)) {
        // Told once and gone before it came through, perhaps.
        move.told = false;
        continue;
      }
      move.firstToldMs ??= nowMs;
      if (move.told && nowMs - move.firstToldMs >= patienceMs) end.push(host);
      else tell.push(host);
      move.told = true;
    }
    return { tell, end };
  }
}

/** What a server must be told of these hosts before it lets anybody in. */
export function revocationsOf(
  hosts: readonly Pick<HostRecord, "state" | "publicKey" | "credentialsSinceMs">[],
  nowMs: number,
): Revocations {
  return new Map(
    hosts.flatMap(({ state, publicKey, credentialsSinceMs: sinceMs }) => {
      if (state === "revoked") return [[publicKey, forGood(nowMs)] as const];
      return sinceMs === null ? [] : [[publicKey, sinceMs] as const];
    }),
  );
}
