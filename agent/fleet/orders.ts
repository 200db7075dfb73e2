import { minuteMs, secondMs } from "../../shared/durations.ts";
import {
  CurrentPositions,
  decodeMessage,
  encodeMessage,
  reportedProblemsMax,
  type StatusReport,
  snapshotPartsMax,
} from "../../shared/fleet-messages.ts";
import { canaryBanId, type Order, type Scope } from "../../shared/order.ts";
import type { ReceivedFrame } from "../../shared/order-frame.ts";
import type { Standing } from "../../shared/order-set.ts";
import type { UpVerb } from "../../shared/subjects.ts";
import { FrameReader, type FrameReaderParts } from "./frame-reader.ts";
import { ObserveMode, type ObserveStore } from "./observe-mode.ts";
import { RefusedOrders, type RefusedOrdersParts } from "./refused-orders.ts";
import { ReportPace } from "./report-pace.ts";
import { ScopeState } from "./scope-state.ts";

/** What is kept over a restart. Epochs are numbers in text. */
export type OrderStore = ObserveStore &
  Readonly<{
    load(nowMs: number): ReadonlyMap<Scope, OrderPlace & Readonly<{ standing: readonly Standing[] }>>;
    apply(scope: Scope, place: OrderPlace, orders: readonly Order[]): void;
    replace(scope: Scope, place: OrderPlace, standing: Iterable<Standing>): void;
    drop(scope: Scope): void;
  }>;
export type OrderPlace = Readonly<{ epoch: string; revision: number }>;

export type OrderReceiverParts = Readonly<{
  host: string;
  tenant: string;
  store: OrderStore;
  /** False when cut off. */
  send: (verb: UpVerb, payload: Uint8Array) => boolean;
  /** To be carried out, in this order; may repeat what was said before. No bans while the host only observes. */
  onOrders: (scope: Scope, orders: readonly Order[]) => void;
  status: () => Pick<StatusReport, "version" | "firewall" | "enforcing" | "problems" | "canary" | "blocked">;
  random: () => number;
}> &
  RefusedOrdersParts &
  FrameReaderParts;

/** An unanswered question is asked again after this, and then ever later. */
const askAgainMs = { first: 2 * secondMs, longest: minuteMs } as const;
/** Parts that come together come at once; of an older coordinator, or when it had no room for more, the next is asked for. */
const nextPartMs = 200;
/** Until the coordinator has said how far to spread, ask as one of a thousand would. */
const spreadMsUnknown = secondMs;

/**
 * Follows the orders of the scopes this host obeys: the fleet's, its tenant's, its own. A frame counts only with the
 * coordinator's signature; whatever is missing is asked for; what was carried out is reported.
 */
export class OrderReceiver implements Disposable {
  readonly #parts: OrderReceiverParts;
  readonly #scopes: Map<Scope, ScopeState>;
  readonly #refused: RefusedOrders;
  readonly #observe: ObserveMode;
  readonly #frames: FrameReader;
  readonly #reports: ReportPace;
  #askTimer: NodeJS.Timeout | undefined;
  #askDelayMs: number = askAgainMs.first;
  /** Of a snapshot, with one question. */
  #partsAtOnce = snapshotPartsMax;
  #spreadMs: number = spreadMsUnknown;
  #closed = false;

  /** Restores what was known: `onOrders` is called with all that stood when the agent last ran. */
  constructor(parts: OrderReceiverParts) {
    this.#parts = parts;
    this.#refused = new RefusedOrders(parts);
    this.#observe = new ObserveMode(parts.store);
    this.#frames = new FrameReader(parts);
    this.#reports = new ReportPace(() => this.#sendReport(), parts.random);
    const names: readonly Scope[] = ["fleet", `tenant:${parts.tenant}`, `host:${parts.host}`];
    this.#scopes = new Map(names.map((name) => [name, new ScopeState(name)]));
    for (const [scope, { epoch, revision, standing }] of parts.store.load(parts.now())) {
      const state = this.#scopes.get(scope);
      if (state === undefined) {
        // This host has changed its tenant: the old one's bans are no longer its business.
        parts.store.drop(scope);
        continue;
      }
      state.restore(Number(epoch), revision, standing);
      this.#carryOut(scope, standing);
    }
  }

  /** Frames whose signature or form was wrong. */
  get badFrames(): number {
    return this.#frames.bad;
  }

  /** The span over which this fleet's agents spread what they send at the same moment. */
  get spreadMs(): number {
    return this.#spreadMs;
  }

  inSync(): boolean {
    return [...this.#scopes.values()].every((state) => state.inSync);
  }

  /** Whether the coordinator's bans are kept and not carried out. */
  get observes(): boolean {
    return this.#observe.on;
  }

  /** What the coordinator wants stopped as a proof that what it orders is; undefined when it does not. */
  get canary(): string | undefined {
    if (this.#observe.on) return undefined;
    return this.#scopes.get("fleet")?.set.get("ban", canaryBanId)?.net;
  }

  report(): void {
    this.#reports.soon(0);
  }

  /** Revision and hash per scope, as reported. */
  positions(): StatusReport["scopes"] {
    return [...this.#scopes.values()].map(({ scope, epoch, set }) => ({
      scope,
      epoch,
      revision: set.revision,
      hash: set.hash,
    }));
  }

  /**
   * This host belongs to another tenant now: what the old one ordered ends here, unless its own jails want it too. The
   * new one's orders come with the next connect.
   */
  moveTo(tenant: string): void {
    for (const [scope, { set }] of this.#scopes) {
      if (!scope.startsWith("tenant:") || scope === `tenant:${tenant}`) continue;
      const ends = [...set.entries()].map(endOf);
      this.#scopes.delete(scope);
      this.#parts.store.drop(scope);
      this.#carryOut(scope, ends);
    }
    const scope: Scope = `tenant:${tenant}`;
    if (!this.#scopes.has(scope)) this.#scopes.set(scope, new ScopeState(scope));
  }

  /** After each connect: frames may have been missed. Those who were cut off together come back spread already. */
  connected(): void {
    // Too slow a line for several is cut by the server; one by one it gets there.
    if ([...this.#scopes.values()].some(({ awaited }) => awaited !== undefined)) this.#partsAtOnce = 1;
    // Ten thousand that come back must not all say what they have said a moment ago.
    this.#catchUp(0, !this.#reports.isDone);
  }

  /** The coordinator is back, perhaps with an older database: whoever asked while it was away asks again. A heartbeat. */
  hello(payload: Uint8Array): void {
    if (this.#decode(payload) !== undefined) this.#catchUp(this.#spreadMs * this.#parts.random(), true);
  }

  /** Anything the coordinator, or somebody pretending to be it, published to this host. */
  receive(payload: Uint8Array): void {
    const frame = this.#decode(payload);
    const state = frame === undefined ? undefined : this.#scopes.get(frame.scope);
    if (frame === undefined || state === undefined || this.#closed) return;
    if (frame.scope === `host:${this.#parts.host}` && this.#observe.take(frame)) this.#followObserve();
    const { orders, unusable, saved, ask, ignored } = state.take(frame, this.#parts.now());
    if (ignored !== null) {
      this.#parts.log.warn({ scope: frame.scope, why: ignored, event: "frame_ignored" }, "ignored an order frame");
    }
    // The firewall first: a crash before the store has it only means that we ask for it once more.
    this.#carryOut(frame.scope, orders);
    this.#save(state, saved, orders);
    this.#refused.noteUnusable(frame.scope, unusable, saved === "snapshot");
    if (saved !== "nothing") this.#reports.soon(frame.spreadMs * this.#parts.random());
    if (ask === "now") {
      // It answers: the next part is not to wait as long as somebody who does not.
      this.#askDelayMs = askAgainMs.first;
      this.#ask(0);
    } else if (ask === "wait") this.#ask(nextPartMs);
    // A question is on its way already when a timer runs: it covers every scope.
    else if (ask === "soon" && this.#askTimer === undefined) this.#ask(frame.spreadMs * this.#parts.random());
    else if (this.inSync()) this.#stopAsking();
  }

  /** An answer to a question: of these positions nothing is missing. */
  confirm(payload: Uint8Array): void {
    const { positions } = decodeMessage(CurrentPositions, payload, "answer of the coordinator");
    for (const { scope, epoch, revision } of positions) this.#scopes.get(scope)?.confirm(epoch, revision);
    if (this.inSync()) this.#stopAsking();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#askTimer);
    this.#reports[Symbol.dispose]();
  }

  #catchUp(delayMs: number, reports: boolean): void {
    for (const state of this.#scopes.values()) state.doubt();
    this.#askDelayMs = askAgainMs.first;
    this.#ask(delayMs);
    if (reports) this.#reports.soon(this.#spreadMs * this.#parts.random());
  }

  #decode(payload: Uint8Array): ReceivedFrame | undefined {
    const frame = this.#frames.read(payload);
    // A bus that is back is asked by the whole fleet, however few hear a tenant's or a host's own orders.
    if (frame?.scope === "fleet") this.#spreadMs = frame.spreadMs;
    return frame;
  }

  /** All that stands is taken out of force, or comes into it. */
  #followObserve(): void {
    const { on } = this.#observe;
    for (const { scope, set } of this.#scopes.values()) {
      const bans = [...set.entries()].filter(({ kind }) => kind === "ban");
      this.#carryOut(scope, on ? bans.map(endOf) : bans);
    }
    const said = on
      ? "only observes now: its orders are kept, and no ban of them is enforced"
      : "enforces its orders again";
    this.#parts.log.warn({ event: on ? "observes" : "enforces" }, `this host ${said}`);
    this.#reports.soon(0);
  }

  #carryOut(scope: Scope, orders: readonly Order[]): void {
    const wanted = this.#observe.on ? orders.filter(({ kind }) => kind !== "ban") : orders;
    const accepted = wanted.filter((order) => this.#refused.accepts(scope, order));
    if (accepted.length > 0) this.#parts.onOrders(scope, accepted);
  }

  #save(state: ScopeState, saved: "nothing" | "delta" | "snapshot", orders: readonly Order[]): void {
    const place = { epoch: String(state.epoch), revision: state.set.revision };
    if (saved === "delta") this.#parts.store.apply(state.scope, place, orders);
    if (saved !== "snapshot") return;
    this.#parts.store.replace(state.scope, place, state.set.entries());
    this.#partsAtOnce = snapshotPartsMax;
  }

  #stopAsking(): void {
    clearTimeout(this.#askTimer);
    this.#askTimer = undefined;
    this.#askDelayMs = askAgainMs.first;
  }

  #ask(delayMs: number): void {
    clearTimeout(this.#askTimer);
    if (this.#closed) return;
    this.#askTimer = setTimeout(() => {
      this.#askTimer = undefined;
      const behind = [...this.#scopes.values()].filter((state) => !state.inSync);
      const positions = behind.map(({ scope, epoch, set, damaged, awaited }) => ({
        ...{ scope, epoch, revision: set.revision, hash: set.hash },
        ...(damaged ? { damaged } : {}),
        ...(awaited === undefined ? {} : { chunk: awaited }),
      }));
      const question = { v: 1, parts: this.#partsAtOnce, positions, observing: this.#observe.on } as const;
      // Cut off: `connected` asks afresh.
      if (positions.length === 0 || !this.#parts.send("sync", encodeMessage(question))) return;
      const waitMs = this.#askDelayMs * (1 + this.#parts.random());
      this.#askDelayMs = Math.min(this.#askDelayMs * 2, askAgainMs.longest);
      this.#ask(waitMs + this.#spreadMs);
    }, delayMs);
  }

  /** @returns false when cut off */
  #sendReport(): boolean {
    for (const { scope, order } of this.#refused.reconsider()) this.#parts.onOrders(scope, [order]);
    const { problems, ...rest } = this.#parts.status();
    const nextOrderKey = this.#parts.nextKey?.();
    const report: StatusReport = {
      v: 1,
      atMs: this.#parts.now(),
      scopes: this.positions(),
      refused: this.#refused.reported,
      observing: this.#observe.on,
      ...(nextOrderKey === undefined ? {} : { nextOrderKey }),
      ...rest,
      problems: problems.slice(0, reportedProblemsMax).map((problem) => problem.slice(0, 300)),
    };
    return this.#parts.send("status", encodeMessage(report));
  }
}

/** Takes it out of force, and lifts nothing of the host's own. */
function endOf({ kind, id, net }: Standing): Order {
  return kind === "ban" ? { kind: "unban", id, net, reason: "expired" } : { kind: "disallow", id, net };
}
