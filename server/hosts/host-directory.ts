import { minuteMs } from "../../shared/durations.ts";
import type { Scope } from "../../shared/order.ts";

/** An agent reports every 75 seconds at the latest. */
const reportedWithinMs = 2 * minuteMs;

export type KnownHost = Readonly<{
  host: string;
  tenant: string;
  publicKey: string;
  state: "active" | "quarantined" | "revoked";
  /** Receives orders and enforces none. */
  observe: boolean;
}>;

/**
 * Who belongs to the fleet and who is connected, in memory: the bus asks on every message and cannot wait for the
 * database. The database stays the truth; `load` replaces everything.
 */
export class HostDirectory {
  #hosts = new Map<string, KnownHost>();
  #byKey = new Map<string, string>();
  readonly #connected = new Set<string>();
  /** Connected until the bus or this coordinator went away, and not back yet. */
  readonly #awaited = new Set<string>();
  /** Of both, by tenant; counted anew after a change, because ten thousand hosts ask in the same second. */
  #counts: Map<string, number> | undefined;

  load(hosts: readonly KnownHost[]): void {
    this.#hosts = new Map(hosts.map((each) => [each.host, each]));
    this.#byKey = new Map(hosts.map((each) => [each.publicKey, each.host]));
    for (const known of [this.#connected, this.#awaited]) {
      for (const host of known) if (!this.#hosts.has(host)) known.delete(host);
    }
    this.#counts = undefined;
  }

  put(host: KnownHost): void {
    this.#hosts.set(host.host, host);
    this.#byKey.set(host.publicKey, host.host);
    this.#counts = undefined;
  }

  /** As a decision of the judgement or the reviewer of conduct says. */
  setState(host: string, state: KnownHost["state"]): void {
    const known = this.#hosts.get(host);
    if (known !== undefined) this.#hosts.set(host, { ...known, state });
  }

  get(host: string): KnownHost | undefined {
    return this.#hosts.get(host);
  }

  hostOfKey(publicKey: string): KnownHost | undefined {
    return this.#hosts.get(this.#byKey.get(publicKey) ?? "");
  }

  /** undefined for hosts that are unknown or revoked: they get no answer. A quarantined one is protected like any other. */
  tenantOf(host: string): string | undefined {
    const known = this.#hosts.get(host);
    return known === undefined || known.state === "revoked" ? undefined : known.tenant;
  }

  setConnected(host: string, connected: boolean): void {
    if (this.#connected.has(host) === connected) return;
    if (connected) this.#connected.add(host);
    else this.#connected.delete(host);
    const isCounted = this.#awaited.delete(host);
    const tenant = this.#hosts.get(host)?.tenant;
    if (this.#counts === undefined || tenant === undefined || isCounted) return;
    this.#counts.set(tenant, (this.#counts.get(tenant) ?? 0) + (connected ? 1 : -1));
  }

  isConnected(host: string): boolean {
    return this.#connected.has(host);
  }

  /** Nobody's connection is known any more: the bus itself went away. All are about to come back. */
  forgetConnections(): void {
    for (const host of this.#connected) this.#awaited.add(host);
    this.#connected.clear();
  }

  /** Nobody's connection is known yet: whom the coordinator before us has heard a moment ago is there. */
  awaitSeen(hosts: Iterable<Readonly<{ host: string; lastSeenMs: number | null }>>, nowMs: number): void {
    for (const { host, lastSeenMs } of hosts) {
      const isRecent = lastSeenMs !== null && nowMs - lastSeenMs < reportedWithinMs;
      if (isRecent && this.tenantOf(host) !== undefined && !this.#connected.has(host)) this.#awaited.add(host);
    }
    this.#counts = undefined;
  }

  /** Whoever has not come back by now is away. */
  stopAwaiting(): void {
    this.#awaited.clear();
    this.#counts = undefined;
  }

  /**
   * Hosts that hear this scope, or will in a moment: the pace of all that they say together goes by their number, and
   * must do so before they are all there.
   */
  listeners(scope: Scope): number {
    if (scope === "fleet") return this.#connected.size + this.#awaited.size;
    const name = scope.slice(scope.indexOf(":") + 1);
    if (scope.startsWith("host:")) return this.#connected.has(name) || this.#awaited.has(name) ? 1 : 0;
    this.#counts ??= this.#countByTenant();
    return this.#counts.get(name) ?? 0;
  }

  #countByTenant(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const host of [...this.#connected, ...this.#awaited]) {
      const tenant = this.#hosts.get(host)?.tenant;
      if (tenant !== undefined) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    }
    return counts;
  }

  /** `host:h1` as people write it: `host:a/h1`. */
  showScope(scope: Scope): string {
    if (!scope.startsWith("host:")) return scope;
    const host = scope.slice("host:".length);
    return `host:${this.#hosts.get(host)?.tenant ?? "?"}/${host}`;
  }
}
