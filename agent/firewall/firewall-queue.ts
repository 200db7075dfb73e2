import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import {
  type ApplyResult,
  type Element,
  type ElementName,
  elementKey,
  type FirewallBackend,
  type FirewallChange,
  type FirewallSetup,
  type Rejected,
} from "./firewall.ts";

export type FirewallState = Readonly<{
  /** `healing`: the firewall is not as it should be and is being written anew. */
  kind: "opening" | "ok" | "healing" | "closed";
  /** Why it is healing, or what the last heal was for. */
  problem: string | null;
  /** Elements the firewall would not take, with a sample of the reasons. */
  refused: number;
  refusedSample: readonly Rejected[];
  heals: number;
}>;

export type QueueOptions = Readonly<{
  backend: FirewallBackend;
  /** Asked for whenever the rules are written. */
  setup: () => FirewallSetup;
  /** The whole wanted set, asked for whenever everything is written anew. */
  wanted: () => Iterable<Element>;
  onState?: (state: FirewallState) => void;
  /** Replaced in tests. Calls back once after the delay unless cancelled. */
  schedule?: (delayMs: number, call: () => void) => () => void;
}>;

/** A health check does not look at the elements, and ipset forgets after 24 days: now and then all is written anew. */
export const rewriteEveryMs = 6 * 3_600_000;
/** More waiting changes than this are dearer than writing everything anew, and need no more memory then. */
const pendingMax = 100_000;
const retryMs = { first: 1000, most: 60_000 } as const;
/** So many changes go at once: what else the same turn of the event loop may bring is little beside them. */
const burstMin = 256;
/** Reasons kept for the status; the number is always right. */
const refusedSampleMax = 20;

type Pending = { kind: "add" | "renew" | "remove"; element: ElementName & { untilMs: number | null } };
type Waiter = Readonly<{
  nets: ReadonlySet<string> | null;
  resolve: (result: ApplyResult) => void;
  reject: (error: unknown) => void;
}>;

/**
 * The one way to a backend: one call at a time. The first change goes at once; what comes while it is on its way is
 * merged and goes next, so a burst of thousands costs a few transactions. Whatever goes wrong is repaired by writing
 * the whole wanted set, and a regular check repairs what others did to our rules.
 */
export class FirewallQueue {
  readonly #options: QueueOptions;
  readonly #schedule: (delayMs: number, call: () => void) => () => void;
  #pending = new Map<string, Pending>();
  #waiters: Waiter[] = [];
  #setupChanged = false;
  #rewrite = true;
  #check = false;
  #busy = false;
  #working: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => undefined;
  #cancelRewrite: () => void = () => undefined;
  #retryDelayMs: number = retryMs.first;
  #waitingToRetry = false;
  #state: FirewallState = { kind: "opening", problem: null, refused: 0, refusedSample: [], heals: 0 };

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#schedule = options.schedule ?? afterDelay;
  }

  get state(): FirewallState {
    return this.#state;
  }

  /** Writes the wanted set for the first time and starts the regular check. */
  async open(): Promise<ApplyResult> {
    this.#scheduleCheck();
    this.#scheduleRewrite();
    return this.rewrite();
  }

  /**
   * @returns when the change is in force
   * @throws Fleet2banError `unavailable` when it is not; the queue keeps trying, so the caller need not
   */
  submit(change: FirewallChange): Promise<ApplyResult> {
    const nets = new Set<string>();
    for (const element of change.remove) {
      nets.add(element.net);
      this.#merge("remove", { ...element, untilMs: null });
    }
    for (const kind of ["renew", "add"] as const) {
      for (const element of change[kind]) {
        nets.add(element.net);
        this.#merge(kind, element);
      }
    }
    if (nets.size === 0) return Promise.resolve({ applied: 0, rejected: [] });
    return this.#wait(nets);
  }

  /** The allow sets are others now; goes before the changes that wait. */
  setUp(): Promise<ApplyResult> {
    this.#setupChanged = true;
    return this.#wait(new Set());
  }

  /** Writes everything anew. */
  rewrite(): Promise<ApplyResult> {
    this.#rewrite = true;
    return this.#wait(null);
  }

  /** Looks now instead of at the next regular check, and heals what it finds. */
  async check(): Promise<void> {
    this.#check = true;
    this.#start();
    await this.#working;
  }

  /** Finishes what waits. The bans stay. */
  async close(): Promise<void> {
    this.#cancelTimer();
    this.#cancelRewrite();
    await this.#working;
    this.#become({ kind: "closed" });
    this.#settle(new Fleet2banError("unavailable", "firewall: the agent stops"));
  }

  #merge(kind: Pending["kind"], element: Pending["element"]): void {
    if (this.#rewrite) return;
    const key = elementKey(element);
    const earlier = this.#pending.get(key)?.kind;
    // What has not gone out yet is still new; what was to be removed may still be there.
    const merged =
      kind === "remove" ? kind : earlier === "add" || (earlier === undefined && kind === "add") ? "add" : "renew";
    this.#pending.set(key, { kind: merged, element });
    if (this.#pending.size > pendingMax) this.#rewrite = true;
  }

  #wait(nets: ReadonlySet<string> | null): Promise<ApplyResult> {
    if (this.#state.kind === "closed") {
      return Promise.reject(new Fleet2banError("unavailable", "firewall: it is closed"));
    }
    // Between two attempts nobody is kept waiting; what they want is in the wanted set.
    if (this.#waitingToRetry) {
      return Promise.reject(new Fleet2banError("unavailable", this.#state.problem ?? "firewall: it is healing"));
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ nets, resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    if (this.#busy || this.#waitingToRetry || this.#state.kind === "closed") return;
    this.#busy = true;
    this.#working = this.#work();
  }

  async #work(): Promise<void> {
    // Changes of the same turn of the event loop go together. A burst does not wait while its bans are written to the disk.
    if (this.#pending.size < burstMin) await Promise.resolve();
    while (!this.#waitingToRetry && this.#hasWork()) {
      const waiters = this.#waiters;
      this.#waiters = [];
      try {
        const result = await this.#step();
        for (const { nets, resolve } of waiters) {
          const rejected = nets === null ? result.rejected : result.rejected.filter(({ net }) => nets.has(net));
          resolve({ applied: nets === null ? result.applied : nets.size - rejected.length, rejected });
        }
      } catch (error) {
        this.#recover(error, waiters);
      }
    }
    // In the same turn as the last look for work: what comes later starts anew.
    this.#busy = false;
  }

  #hasWork(): boolean {
    const asked = this.#rewrite || this.#setupChanged || this.#check;
    return asked || this.#pending.size > 0 || this.#waiters.length > 0;
  }

  #recover(error: unknown, waiters: readonly Waiter[]): void {
    const again = this.#state.kind === "healing";
    this.#rewrite = true;
    this.#waiters = [...waiters, ...this.#waiters];
    this.#become({ kind: "healing", problem: messageOf(error) });
    // The first rewrite goes at once: a flush by somebody else is healed before anybody hears of it.
    if (!again) return;
    this.#settle(error);
    this.#retryLater();
  }

  async #step(): Promise<ApplyResult> {
    const { backend } = this.#options;
    if (this.#check && !this.#rewrite) {
      this.#check = false;
      const health = await backend.health();
      if (health !== "ok") throw new Fleet2banError("unavailable", `firewall: our rules are ${health}`);
    }
    if (this.#rewrite) return this.#rewriteAll();
    const pending = this.#pending;
    this.#pending = new Map();
    if (this.#setupChanged) {
      this.#setupChanged = false;
      await backend.open(this.#options.setup());
    }
    if (pending.size === 0) return { applied: 0, rejected: [] };
    const of = (kind: Pending["kind"]) => {
      const elements: Pending["element"][] = [];
      for (const each of pending.values()) if (each.kind === kind) elements.push(each.element);
      return elements;
    };
    const result = await backend.apply({ add: of("add"), renew: of("renew"), remove: of("remove") });
    if (result.rejected.length > 0) this.#refuse(this.#state.refused, result.rejected);
    return result;
  }

  async #rewriteAll(): Promise<ApplyResult> {
    // Everything that waits is in the wanted set already, so it goes with it.
    this.#pending = new Map();
    this.#rewrite = false;
    this.#check = false;
    this.#setupChanged = false;
    const { backend, wanted, setup } = this.#options;
    const result = await backend.replaceAll(wanted(), setup());
    this.#retryDelayMs = retryMs.first;
    const heals = this.#state.heals + (this.#state.kind === "healing" ? 1 : 0);
    this.#refuse(0, result.rejected);
    this.#become({ kind: "ok", heals });
    return result;
  }

  #refuse(before: number, rejected: readonly Rejected[]): void {
    const sample = before === 0 ? rejected : [...rejected, ...this.#state.refusedSample];
    this.#become({ refused: before + rejected.length, refusedSample: sample.slice(0, refusedSampleMax) });
  }

  #retryLater(): void {
    this.#waitingToRetry = true;
    const delayMs = this.#retryDelayMs;
    this.#retryDelayMs = Math.min(delayMs * 2, retryMs.most);
    this.#cancelTimer();
    this.#cancelTimer = this.#schedule(delayMs, () => {
      this.#waitingToRetry = false;
      this.#start();
      this.#scheduleCheck();
    });
  }

  #scheduleCheck(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#schedule(this.#options.backend.healthEveryMs, () => {
      this.#check = true;
      this.#start();
      this.#scheduleCheck();
    });
  }

  #scheduleRewrite(): void {
    // Jittered, so that a fleet started by one script does not write in one second.
    this.#cancelRewrite = this.#schedule(rewriteEveryMs * (0.75 + Math.random() / 2), () => {
      this.#rewrite = true;
      this.#start();
      this.#scheduleRewrite();
    });
  }

  #settle(error: unknown): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  #become(change: Partial<FirewallState>): void {
    this.#state = { ...this.#state, ...change };
    this.#options.onState?.(this.#state);
  }
}

function afterDelay(delayMs: number, call: () => void): () => void {
  const timer = setTimeout(call, delayMs).unref();
  return () => clearTimeout(timer);
}
