import type { KeyObject } from "node:crypto";
import { secondMs } from "../../shared/durations.ts";
import type { StatusReport } from "../../shared/fleet-messages.ts";
import { canaryBanId, type Scope } from "../../shared/order.ts";
import type { Standing } from "../../shared/order-set.ts";
import { subjects } from "../../shared/subjects.ts";
import type { Bus } from "../bus/bus.ts";
import type { Logger } from "../logger.ts";
import { spreadMsFor, tickMsFor } from "./pace.ts";
import { type FrameContext, ScopeFrames } from "./scope-frames.ts";
import { type OrderStretch, recentOrdersMax, ScopeLog } from "./scope-log.ts";
import { subjectOf } from "./scope-subject.ts";
import { SyncAnswers } from "./sync-answers.ts";

/** What the publisher needs of the store. */
export type OrderLog = Readonly<{
  /**
   * Names one life of the log, greater than every earlier one. A restored backup needs a new one, or agents that are
   * ahead of it stay there. Read whenever it is needed; see `restart`.
   */
  epoch: number;
  /** The last revision of every scope that has any order. */
  heads(): Promise<ReadonlyMap<Scope, number>>;
  /** What stands after `revision`, read in one snapshot of the database. */
  activeSet(scope: Scope): Promise<Readonly<{ revision: number; standing: readonly Standing[] }>>;
  /** The orders after `revision`, at most `limit`; undefined when the log no longer reaches back that far. */
  ordersSince(scope: Scope, revision: number, limit: number): Promise<OrderStretch | undefined>;
}>;

export type PublisherParts = Readonly<{
  bus: Bus;
  orderLog: OrderLog;
  signingKey: KeyObject;
  /** Address or network that every host is to stop, as a proof that it stops what it is told; null = none. */
  canary: string | null;
  /** Connected agents that hear this scope. */
  agentsOf: (scope: Scope) => number;
  /** undefined = unknown or revoked: it gets no answer. */
  tenantOf: (host: string) => string | undefined;
  /** Whether the host is to keep its bans without enforcing them. */
  observes: (host: string) => boolean;
  now: () => number;
  log: Logger;
}>;

export type Publisher = AsyncDisposable &
  Readonly<{
    /** After the commit. Late, repeated or missing entries do no harm: the log in the database is read where needed. */
    publish(scope: Scope, stretch: OrderStretch): void;
    /** What is said to the host of itself has changed. */
    tell(host: string): void;
    /** Wakes an agent that reports something else than there is. @returns what is wrong, beyond being behind */
    noticeStatus(host: string, report: StatusReport): StatusFindings;
    /** After the order log has begun a new life: forgets all of the old one and calls every agent. */
    restart(): Promise<void>;
    /** Last revision known of this scope: what a host must report to be up to date. */
    head(scope: Scope): number;
    /** Sync requests turned away because the host asked for too much. */
    limited(): number;
  }>;

export type StatusFindings = Readonly<{
  /** Scopes in which the host holds something else than it should at its revision. */
  drifting: readonly Scope[];
  /** The host has orders of this life of the log that the log does not have. */
  ahead: Readonly<{ scope: Scope; revision: number }> | undefined;
}>;

const heartbeatMs = 10 * secondMs;
/** Scopes kept in memory; hosts' own scopes are mostly empty. */
const scopesMax = 20_000;

type Channel = {
  log: ScopeLog;
  frames: ScopeFrames;
  lastTickMs: number;
  timer: NodeJS.Timeout | undefined;
};

/** Tells agents what was decided: at once when it is quiet, in ticks when it is not, and again to whoever missed it. */
export async function startPublisher(parts: PublisherParts): Promise<Publisher> {
  const publisher = new OrderPublisher(parts, new Map(await parts.orderLog.heads()));
  await publisher.start();
  return publisher;
}

class OrderPublisher implements Publisher {
  readonly #parts: PublisherParts;
  readonly #heads: Map<Scope, number>;
  /** Up to where each scope was announced. A scope that is not in here was announced up to its head. */
  readonly #sent = new Map<Scope, number>();
  readonly #channels = new Map<Scope, Promise<Channel>>();
  /** Those that are open. */
  readonly #open = new Map<Scope, Channel>();
  readonly #answers: SyncAnswers;
  readonly #listening = new DisposableStack();
  #closed = false;

  constructor(parts: PublisherParts, heads: Map<Scope, number>) {
    this.#parts = parts;
    this.#heads = heads;
    this.#answers = new SyncAnswers({
      bus: parts.bus,
      epoch: () => parts.orderLog.epoch,
      framesOf: async (scope) => (await this.#channel(scope)).frames,
      contextOf: (scope) => this.#context(scope),
      scopesOf: (host) => this.#scopesOf(host),
      now: parts.now,
      log: parts.log,
    });
  }

  async start(): Promise<void> {
    await this.#channel("fleet");
    const { bus } = this.#parts;
    // Ended with us: or half of what is asked would go to somebody who does not answer any more.
    this.#listening.use(bus.onUp("sync", (host, payload) => this.#answers.ask(host, payload)));
    bus.onConnected(() => this.#inBackground(this.#sayHello()));
    const heartbeats = setInterval(() => this.#inBackground(this.#heartbeat()), heartbeatMs);
    this.#listening.defer(() => clearInterval(heartbeats));
  }

  head(scope: Scope): number {
    return this.#heads.get(scope) ?? 0;
  }

  limited(): number {
    return this.#answers.limited();
  }

  publish(scope: Scope, stretch: OrderStretch): void {
    // What was never announced is announced from here on, also if the channel is only opened, and loaded, now.
    if (!this.#sent.has(scope)) this.#sent.set(scope, stretch.from);
    this.#heads.set(scope, Math.max(this.head(scope), stretch.from + stretch.orders.length));
    this.#inBackground(this.#take(scope, stretch));
  }

  tell(host: string): void {
    this.#inBackground(this.#wake(host, `host:${host}`));
  }

  noticeStatus(host: string, report: StatusReport): StatusFindings {
    const allowed = this.#scopesOf(host);
    const drifting: Scope[] = [];
    let ahead: StatusFindings["ahead"];
    for (const { scope, epoch, revision, hash } of report.scopes) {
      const head = this.head(scope);
      if (!allowed.has(scope)) continue;
      const current = epoch === this.#parts.orderLog.epoch;
      if (current && revision > head) ahead = { scope, revision };
      const log = this.#open.get(scope)?.log;
      const drifts = current && log !== undefined && revision === log.revision && hash !== log.hash;
      if (drifts) drifting.push(scope);
      const nothingYet = head === 0 && revision === 0 && log === undefined;
      if (!nothingYet && (drifts || !current || revision !== head)) this.#inBackground(this.#wake(host, scope));
    }
    if (report.observing !== undefined && report.observing !== this.#parts.observes(host)) this.tell(host);
    return { drifting, ahead };
  }

  async restart(): Promise<void> {
    for (const { timer } of this.#open.values()) clearTimeout(timer);
    for (const map of [this.#channels, this.#open, this.#sent, this.#heads]) map.clear();
    for (const [scope, revision] of await this.#parts.orderLog.heads()) this.#heads.set(scope, revision);
    await this.#sayHello();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#listening.dispose();
    await Promise.allSettled(this.#channels.values());
    for (const { timer } of this.#open.values()) clearTimeout(timer);
    await this.#answers[Symbol.asyncDispose]();
  }

  async #wake(host: string, scope: Scope): Promise<void> {
    const { frames } = await this.#channel(scope);
    this.#parts.bus.publish(subjects.down(host, "orders"), frames.heartbeat(this.#context(scope)));
  }

  async #take(scope: Scope, stretch: OrderStretch): Promise<void> {
    const channel = await this.#channel(scope);
    if (!channel.log.append(stretch)) await this.#reload(scope, channel);
    this.#scheduleTick(scope, channel);
  }

  /** Two transactions may commit in one order and get here in the other: the database knows what lies between. */
  async #reload(scope: Scope, channel: Channel): Promise<void> {
    const missing = await this.#parts.orderLog.ordersSince(scope, channel.log.revision, recentOrdersMax);
    if (missing !== undefined) channel.log.append(missing);
    else await this.#load(scope, channel.log);
  }

  #scheduleTick(scope: Scope, channel: Channel): void {
    if (this.#closed || channel.timer !== undefined || this.#sentOf(scope) >= channel.log.revision) return;
    const waitMs = channel.lastTickMs + tickMsFor(this.#parts.agentsOf(scope)) - performance.now();
    if (waitMs <= 0) {
      this.#tick(scope, channel);
      return;
    }
    channel.timer = setTimeout(() => {
      channel.timer = undefined;
      this.#tick(scope, channel);
    }, waitMs);
  }

  #tick(scope: Scope, channel: Channel): void {
    channel.lastTickMs = performance.now();
    const context = this.#context(scope);
    // More than fits into the memory of recent orders: agents see the gap and ask.
    const frames = channel.frames.since(this.#sentOf(scope), context) ?? [channel.frames.heartbeat(context)];
    this.#sent.set(scope, channel.log.revision);
    for (const frame of frames) this.#parts.bus.publish(subjectOf(scope), frame);
  }

  async #sayHello(): Promise<void> {
    const { frames } = await this.#channel("fleet");
    this.#parts.bus.publish(subjects.hello, frames.heartbeat(this.#context("fleet")));
  }

  async #heartbeat(): Promise<void> {
    this.#answers.prune();
    for (const [scope, opening] of this.#channels) {
      // A host's own scope is checked with every report it sends.
      if (scope.startsWith("host:")) continue;
      const channel = await opening;
      if (channel.timer !== undefined) continue;
      this.#parts.bus.publish(subjectOf(scope), channel.frames.heartbeat(this.#context(scope)));
    }
  }

  #scopesOf(host: string): ReadonlySet<Scope> {
    const tenant = this.#parts.tenantOf(host);
    return new Set<Scope>(tenant === undefined ? [] : ["fleet", `tenant:${tenant}`, `host:${host}`]);
  }

  #context(scope: Scope): FrameContext {
    const { signingKey, orderLog, agentsOf } = this.#parts;
    const spreadMs = spreadMsFor(agentsOf(scope));
    const observe = scope.startsWith("host:") ? { observe: this.#parts.observes(scope.slice("host:".length)) } : {};
    return { signingKey, epoch: orderLog.epoch, nowMs: this.#parts.now(), spreadMs, ...observe };
  }

  #channel(scope: Scope): Promise<Channel> {
    const known = this.#channels.get(scope);
    if (known !== undefined) return known;
    const opening = this.#openChannel(scope);
    this.#channels.set(scope, opening);
    opening.then(
      (channel) => {
        if (this.#channels.get(scope) === opening) this.#open.set(scope, channel);
      },
      () => this.#channels.delete(scope),
    );
    if (this.#channels.size > scopesMax) this.#forgetOldest();
    return opening;
  }

  async #openChannel(scope: Scope): Promise<Channel> {
    const log = new ScopeLog();
    // Most hosts have no orders of their own: ten thousand of them asking at once must not be ten thousand queries.
    if (this.head(scope) > 0 || this.#canaryOf(scope).length > 0) await this.#load(scope, log);
    if (!this.#sent.has(scope)) this.#sent.set(scope, log.revision);
    return { log, frames: new ScopeFrames(scope, log), lastTickMs: Number.NEGATIVE_INFINITY, timer: undefined };
  }

  async #load(scope: Scope, log: ScopeLog): Promise<void> {
    const { orderLog } = this.#parts;
    const { revision, standing } = await orderLog.activeSet(scope);
    const from = Math.max(0, revision - recentOrdersMax);
    const recent = await orderLog.ordersSince(scope, from, recentOrdersMax);
    log.load(revision, [...standing, ...this.#canaryOf(scope)], recent);
  }

  /** In every host's set and in no log: an agent without it has the wrong hash, and gets it with a snapshot. */
  #canaryOf(scope: Scope): readonly Standing[] {
    const { canary } = this.#parts;
    if (scope !== "fleet" || canary === null) return [];
    return [{ kind: "ban", id: canaryBanId, net: canary, untilMs: null, ports: null, level: null }];
  }

  #sentOf(scope: Scope): number {
    return this.#sent.get(scope) ?? this.head(scope);
  }

  #forgetOldest(): void {
    for (const scope of this.#channels.keys()) {
      if (scope === "fleet") continue;
      for (const map of [this.#channels, this.#open, this.#sent]) map.delete(scope);
      return;
    }
  }

  #inBackground(work: Promise<unknown>): void {
    work.catch((err: unknown) => {
      const fields = { err, event: "publish_failed" };
      if (!this.#closed) this.#parts.log.error(fields, "could not publish orders; agents will ask for them");
    });
  }
}
