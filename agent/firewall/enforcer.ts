import { addressBits, formatShort, type Net, parseNet } from "../../shared/address.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";
import { DeadManSwitch } from "./dead-man-switch.ts";
import { type Counter, elementKey, type FirewallBackend, type FirewallSetup, type Verdict } from "./firewall.ts";
import { FirewallQueue, type FirewallState } from "./firewall-queue.ts";
import { allowNetsMax } from "./nftables-script.ts";
import { buildProtection, lastingRefusal, type NeverNet, type Protection, protectedNets, refusal } from "./protect.ts";
import { type OwnedAllow, type OwnedBan, type WantedChange, WantedSet } from "./wanted-set.ts";

export type EnforcerParts = Readonly<{
  backend: FirewallBackend;
  verdict: Verdict;
  log: Logger;
  /** Milliseconds of a clock that nobody can set: what the kernel counts a ban's rest by. */
  upMs: () => number;
  /**
   * Whether the coordinator, and every probe that is configured, answers now. Without it there is no dead man's switch:
   * an agent that works alone has nobody to be cut off from.
   */
  reach?: () => Promise<boolean>;
  /** Reserved ranges and the widest ban, where the operator wants others than the defaults of `protect.ts`. */
  limits?: Readonly<{ reserved?: readonly string[]; widest?: Protection["widest"] }>;
}>;

/** More than a late tick and less than anybody's ban. */
const clockJumpMs = 2000;

/**
 * Everything this host bans, whoever wants it, on its way into the firewall: protection is asked, owners are merged,
 * changes are batched. Before `open` it only collects, so that a restart writes all its bans in one transaction.
 */
export class Enforcer {
  readonly #parts: EnforcerParts;
  readonly #wanted = new WantedSet();
  readonly #queue: FirewallQueue;
  readonly #deadMan: DeadManSwitch | undefined;
  #protection: Protection;
  readonly #stopped = new Map<string, Counter>();
  #isOpen = false;
  /** What the wall clock was ahead of the other one at the last `expire`. */
  #clockLeadMs: number | undefined;

  constructor(parts: EnforcerParts) {
    this.#parts = parts;
    this.#protection = buildProtection({ never: [], ...parts.limits });
    this.#queue = new FirewallQueue({
      backend: parts.backend,
      setup: () => this.#setup(),
      wanted: () => this.#wanted.elements(),
      onState: (state) => this.#onState(state),
    });
    const { reach, log } = parts;
    const hold = (keys: readonly string[]) => void this.#submit(this.#wanted.hold(keys));
    const release = (keys: readonly string[]) => void this.#submit(this.#wanted.release(keys));
    this.#deadMan = reach === undefined ? undefined : new DeadManSwitch({ reach, hold, release, log });
  }

  get name(): string {
    return this.#parts.backend.name;
  }

  get enforcing(): boolean {
    return this.#parts.backend.enforcing;
  }

  get state(): FirewallState {
    return this.#queue.state;
  }

  get size(): number {
    return this.#wanted.size;
  }

  /** Addresses and networks that pass whatever is banned. */
  get allowed(): number {
    return this.#setup().allow.length;
  }

  /** Why this host will not ban the net; undefined = it will. */
  refusal(text: string, byHand = false): string | undefined {
    const net = parseNet(text);
    return net === undefined ? "is not an address or network" : refusal(net, this.#protection, byHand);
  }

  /**
   * Other addresses to protect: this host's own may change while it runs. Bans that touch a protected address are out
   * of force as long as it is one.
   */
  async protect(never: Iterable<NeverNet>): Promise<void> {
    const before = new Set(protectedNets(this.#protection));
    this.#protection = buildProtection({ never, ...this.#parts.limits });
    const after = protectedNets(this.#protection);
    const fresh = after.filter((net) => !before.delete(net));
    await this.#submit(this.#wanted.allow(fresh.map(protection)));
    await this.#submit(this.#wanted.disallow([...before].map((net) => protection(net).id)));
  }

  /** Writes all that was collected; from now on changes go at once, also those that come while this is on its way. */
  async open(): Promise<void> {
    this.#isOpen = true;
    await this.#queue.open();
  }

  /**
   * Bans what may be banned; what is protected is refused aloud, and comes into force only when its protection ends: an
   * admin's session, for example. @returns when it is in force
   */
  async ban(bans: readonly OwnedBan[]): Promise<void> {
    const accepted = bans.filter((ban) => {
      const why = this.refusal(ban.net, ban.byHand);
      if (why === undefined) return true;
      this.#parts.log.warn({ net: ban.net, why, event: "ban_refused" }, "refused to ban a protected network");
      const net = parseNet(ban.net);
      return net !== undefined && lastingRefusal(net, this.#protection, ban.byHand) === undefined;
    });
    if (accepted.length === 0) return;
    const wanted = this.#wanted.ban(accepted);
    await this.#submit(wanted);
    const suspects = new Set(accepted.filter(mayCutOff).map(({ net }) => shortNet(net)));
    if (!this.#isOpen || suspects.size === 0) return;
    const added = wanted.change.add.filter(({ net }) => suspects.has(shortNet(net)));
    if (added.length > 0) this.#deadMan?.changed(added.map(elementKey), this.#parts.upMs());
  }

  async unban(ids: readonly string[]): Promise<void> {
    await this.#submit(this.#wanted.unban(ids));
  }

  async allow(allows: readonly OwnedAllow[]): Promise<void> {
    await this.#submit(this.#wanted.allow(allows));
  }

  async disallow(ids: readonly string[]): Promise<void> {
    await this.#submit(this.#wanted.disallow(ids));
  }

  /** To be called every second. */
  async expire(nowMs: number): Promise<void> {
    for (const { change, allow } of this.#wanted.expire(nowMs)) {
      // Tens of thousands may end in one second, and the kernel has ended them already.
      const remove = this.#parts.backend.endsBans ? [] : change.remove;
      await this.#submit({ change: { ...change, remove }, allow });
    }
    // By the clock that nobody sets: a jump is no outage.
    this.#deadMan?.tick(this.#parts.upMs());
    await this.#followClock(nowMs);
  }

  /**
   * Lifts here what the coordinator ordered for exactly this net or inside it (null = everything), until it orders
   * something else: the emergency exit when it is away. @returns how many
   */
  async liftOrdered(net: Net | null): Promise<number> {
    const ids = this.#wanted.idsWithin(net).filter((id) => !id.startsWith("jail:"));
    await this.unban(ids);
    return ids.length;
  }

  /** What the firewall has stopped since this agent started, by list; as of the last `readCounters`. */
  get stopped(): readonly Counter[] {
    return [...this.#stopped.values()];
  }

  /** To be called now and then: reads what was stopped since the last time. */
  async readCounters(): Promise<void> {
    const counters = await this.#parts.backend.counters().catch(() => {
      // Counters are gone with the rules that count: the first sign of a foreign flush.
      void this.#queue.check();
      return [];
    });
    for (const { name, packets, bytes } of counters) {
      const known = this.#stopped.get(name) ?? { packets: 0, bytes: 0 };
      this.#stopped.set(name, { name, packets: known.packets + packets, bytes: known.bytes + bytes });
    }
  }

  /** Whether the firewall stops this address or network now, on all ports; undefined when it cannot be asked. */
  async holds(net: string): Promise<boolean | undefined> {
    const { backend } = this.#parts;
    if (!backend.enforcing || backend.holds === undefined) return undefined;
    return await backend.holds({ net, ports: null });
  }

  /** Writes all of it anew. */
  async rewrite(problem: string): Promise<void> {
    this.#parts.log.warn({ problem, event: "firewall_healing" }, "writing the firewall anew");
    // When it fails the queue keeps trying, and says so.
    await this.#queue.rewrite().catch(() => undefined);
  }

  /** Finishes what waits. The bans stay in force. */
  close(): Promise<void> {
    return this.#queue.close();
  }

  async #submit({ change, allow }: WantedChange): Promise<void> {
    if (!this.#isOpen) return;
    try {
      if (allow !== null) await this.#queue.setUp();
      const { rejected } = await this.#queue.submit(change);
      for (const { net, reason } of rejected.slice(0, 10)) {
        this.#parts.log.error({ net, reason, event: "element_refused" }, "the firewall refused a ban");
      }
    } catch (error) {
      // The queue keeps trying with the whole wanted set; its state says so on every surface.
      this.#parts.log.error(
        { problem: messageOf(error), event: "firewall_failed" },
        "the firewall is not as it should be",
      );
    }
  }

  /** The kernel counts what is left of a ban and knows no clock: when ours is set, every end is written anew. */
  async #followClock(nowMs: number): Promise<void> {
    const leadMs = nowMs - this.#parts.upMs();
    const jumpedMs = leadMs - (this.#clockLeadMs ?? leadMs);
    this.#clockLeadMs = leadMs;
    if (Math.abs(jumpedMs) < clockJumpMs || !this.#isOpen) return;
    this.#parts.log.warn({ jumpedMs, event: "clock_jumped" }, "the clock was set, wrote every ban's end anew");
    // When it fails the queue keeps trying, and says so.
    await this.#queue.rewrite().catch(() => undefined);
  }

  #setup(): FirewallSetup {
    // Protected ones come first, so a fleet's endless list of allows cannot push them out.
    const allow = new Set([...protectedNets(this.#protection), ...this.#wanted.allowNets].map(shortNet));
    return { verdict: this.#parts.verdict, allow: [...allow].slice(0, allowNetsMax) };
  }

  #onState(state: FirewallState): void {
    if (state.kind === "healing") {
      this.#parts.log.warn({ problem: state.problem, event: "firewall_healing" }, "writing the firewall anew");
    }
  }
}

function protection(net: string): OwnedAllow {
  return { id: `protected:${net}`, tier: "never", net, untilMs: null };
}

/**
 * Whether taking this ban back could restore a lost connection. A host's own ban of one address cannot have cut it off
 * (the addresses it depends on are protected), and lifting it would let an attacker back in at every outage.
 */
function mayCutOff({ id, net }: OwnedBan): boolean {
  const parsed = parseNet(net);
  return !id.startsWith("jail:") || parsed === undefined || parsed.prefix < addressBits[parsed.family];
}

function shortNet(text: string): string {
  const net = parseNet(text);
  return net === undefined ? text : formatShort(net);
}
