import { minuteMs } from "../../shared/durations.ts";

/** As nats-server tells it; `connection` names one among those of all servers. */
type Presence = Readonly<{ publicKey: string; connection: string; connected: boolean }>;

/**
 * Longer than the server takes to notice that a connection is dead: an agent whose network broke comes back while its
 * old connection still counts. Two that live side by side for longer are two machines.
 */
const overlapMs = 4 * minuteMs;

/** Who is connected, by key. As large as the number of connections, which the server limits. */
export class Connections {
  readonly #byKey = new Map<string, Map<string, number>>();

  /** @returns whether this key still has a connection */
  take({ publicKey, connection, connected }: Presence, nowMs: number): boolean {
    const known = this.#byKey.get(publicKey) ?? new Map<string, number>();
    if (connected) known.set(connection, nowMs);
    else known.delete(connection);
    if (known.size === 0) this.#byKey.delete(publicKey);
    else this.#byKey.set(publicKey, known);
    return known.size > 0;
  }

  /** Keys that more than one machine uses. */
  cloned(nowMs: number): string[] {
    const found: string[] = [];
    for (const [publicKey, known] of this.#byKey) {
      if (known.size > 1 && nowMs - Math.max(...known.values()) >= overlapMs) found.push(publicKey);
    }
    return found;
  }

  /** Nothing is known any more: our own line to the server was cut. */
  forget(): void {
    this.#byKey.clear();
  }
}
