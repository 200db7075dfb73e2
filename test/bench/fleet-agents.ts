import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { OrderReceiver } from "../../agent/fleet/orders.ts";
import { type CurrentPositions, encodeMessage, snapshotPartsMax } from "../../shared/fleet-messages.ts";
import type { Scope } from "../../shared/order.ts";
import { subjects } from "../../shared/subjects.ts";
import { MemoryOrderStore, quietLog } from "../support/fleet-memory.ts";
import { LightScope, SharedFrames } from "./light-agent.ts";
import { type LineUser, NatsLine } from "./nats-line.ts";

/** Many agents of one process, told over IPC what to do. They pause, spread and report as `agent/fleet` does. */
export type AgentsOrder =
  | Readonly<{
      do: "start";
      place: Readonly<{ host: string; port: number; tls: boolean }>;
      orderKey: string;
      tenant: string;
      users: readonly Readonly<{ host: string; jwt: string; key: string }>[];
      /** So many run the agent's whole order code; the others share memory. */
      whole: number;
      /** What the others hold already; null = nothing. */
      known: Readonly<{ epoch: number; revision: number; hash: string }> | null;
    }>
  | Readonly<{ do: "connect" }>
  | Readonly<{ do: "watch"; revision: number }>
  /** `positions`: and where each is, which costs as much as a ban's way to all of them. */
  | Readonly<{ do: "report"; positions: boolean }>;
export type AgentsReport =
  | Readonly<{ said: "reached"; revision: number; atMs: number }>
  | Readonly<{
      said: "state";
      agents: number;
      inSync: number;
      connects: number;
      positions: Readonly<Record<string, number>>;
      rssMb: number;
    }>;

/** As the agent's connection and order receiver have them. */
const reconnectMs = { wait: 100, spread: 400 } as const;
const reportMs = { pause: 1_000, every: 60_000 } as const;
const askAgainMs = 2_000;
const nextPartMs = 200;

type Place = Extract<AgentsOrder, { do: "start" }>["place"];
type Common = Readonly<{
  place: Place;
  tenant: string;
  frames: SharedFrames;
  orderKey: KeyObject;
  changed: (agent: SimulatedAgent) => void;
}>;

/** The line of one agent, for ever. */
abstract class SimulatedAgent {
  readonly host: string;
  readonly common: Common;
  readonly #user: LineUser;
  #line: NatsLine | undefined;
  ready = false;
  /** Has what is being waited for. */
  reached = true;
  connects = 0;
  spreadMs = 1_000;

  constructor(user: LineUser, common: Common) {
    this.host = user.name;
    this.common = common;
    this.#user = user;
  }

  abstract get fleet(): Readonly<{ epoch: number; revision: number; hash: string }>;
  abstract get inSync(): boolean;
  abstract connected(): void;
  abstract receive(payload: Buffer): void;
  abstract hello(payload: Buffer): void;
  abstract confirm(payload: Buffer): void;

  open(): void {
    const { host, common } = this;
    const heard = [subjects.fleetOrders, subjects.hello, subjects.downOf(host), subjects.tenantOrders(common.tenant)];
    this.#line = new NatsLine(common.place, this.#user, heard, {
      onReady: () => {
        if (this.ready) return;
        this.ready = true;
        this.connects += 1;
        this.connected();
        handShaken();
      },
      onMessage: (subject, payload) => {
        if (subject === subjects.hello) this.hello(payload);
        else if (subject.endsWith(".current")) this.confirm(payload);
        else this.receive(payload);
      },
      onClosed: () => {
        if (!this.ready) handShaken();
        this.ready = false;
        setTimeout(
          () => openSoon(this),
          reconnectMs.wait + Math.random() * Math.max(reconnectMs.spread, this.spreadMs),
        );
      },
    });
  }

  send(verb: "sync" | "status" | "renew", payload: Uint8Array): boolean {
    return this.ready && this.#line?.publish(subjects.up(this.host, verb), payload) === true;
  }
}

class WholeAgent extends SimulatedAgent {
  readonly #receiver: OrderReceiver;

  constructor(user: LineUser, common: Common) {
    super(user, common);
    this.#receiver = new OrderReceiver({
      ...{ host: user.name, tenant: common.tenant, orderKey: common.orderKey, store: new MemoryOrderStore() },
      send: (verb, payload) => this.send(verb, payload),
      onOrders: () => undefined,
      refuse: () => undefined,
      status: () => ({ version: "bench", firewall: "observe", enforcing: false, problems: [] }),
      ...{ now: Date.now, random: Math.random, log: quietLog },
    });
  }

  get fleet() {
    const position = this.#receiver.positions().find(({ scope }) => scope === "fleet");
    const { epoch = 0, revision = 0, hash = "" } = position ?? {};
    return { epoch, revision, hash };
  }
  get inSync() {
    return this.#receiver.inSync();
  }
  connected(): void {
    this.#receiver.connected();
  }
  receive(payload: Buffer): void {
    this.#receiver.receive(payload);
    this.spreadMs = this.#receiver.spreadMs;
    this.common.changed(this);
  }
  hello(payload: Buffer): void {
    this.#receiver.hello(payload);
  }
  confirm(payload: Buffer): void {
    this.#receiver.confirm(payload);
  }
}

class LightAgent extends SimulatedAgent {
  readonly #scopes: ReadonlyMap<Scope, LightScope>;
  readonly #fleet: LightScope;
  #askTimer: NodeJS.Timeout | undefined;
  #reportTimer: NodeJS.Timeout | undefined;
  #lastReportMs = Number.NEGATIVE_INFINITY;
  #reported = false;

  constructor(user: LineUser, common: Common, known: Extract<AgentsOrder, { do: "start" }>["known"]) {
    super(user, common);
    this.#fleet = new LightScope("fleet");
    if (known !== null) this.#fleet.restore(known.epoch, known.revision, known.hash);
    const others = [`tenant:${common.tenant}`, `host:${user.name}`] as const;
    this.#scopes = new Map(
      [this.#fleet, ...others.map((name) => new LightScope(name))].map((each) => [each.scope, each]),
    );
  }

  get fleet() {
    const { epoch, revision, hash } = this.#fleet;
    return { epoch, revision, hash };
  }
  get inSync() {
    for (const scope of this.#scopes.values()) if (!scope.inSync) return false;
    return true;
  }
  connected(): void {
    this.#catchUp(0);
    if (!this.#reported) this.#report(this.spreadMs * Math.random());
  }
  hello(payload: Buffer): void {
    this.spreadMs = this.common.frames.read(payload).frame.spreadMs;
    this.#catchUp(this.spreadMs * Math.random());
    this.#report(this.spreadMs * Math.random());
  }
  #catchUp(delayMs: number): void {
    for (const scope of this.#scopes.values()) scope.doubt();
    this.#ask(delayMs);
  }
  receive(payload: Buffer): void {
    const shared = this.common.frames.read(payload);
    const { spreadMs } = shared.frame;
    if (shared.frame.scope === "fleet") this.spreadMs = spreadMs;
    const outcome = this.#scopes.get(shared.frame.scope)?.take(shared);
    if (outcome === undefined) return;
    if (outcome.changed) this.#report(spreadMs * Math.random());
    if (outcome.ask === "now") this.#ask(0);
    else if (outcome.ask === "wait") this.#ask(nextPartMs);
    else if (outcome.ask === "soon" && this.#askTimer === undefined) this.#ask(spreadMs * Math.random());
    else if (this.inSync) this.#stopAsking();
    if (outcome.changed) this.common.changed(this);
  }

  confirm(payload: Buffer): void {
    const { positions } = JSON.parse(payload.toString()) as CurrentPositions;
    for (const { scope, epoch, revision } of positions) this.#scopes.get(scope)?.confirm(epoch, revision);
    if (this.inSync) this.#stopAsking();
  }
  #stopAsking(): void {
    clearTimeout(this.#askTimer);
    this.#askTimer = undefined;
  }

  #ask(delayMs: number): void {
    clearTimeout(this.#askTimer);
    this.#askTimer = setTimeout(() => {
      this.#askTimer = undefined;
      const positions = [...this.#scopes.values()].filter(({ inSync }) => !inSync).map((scope) => scope.position());
      if (
        positions.length === 0 ||
        !this.send("sync", encodeMessage({ v: 1, parts: snapshotPartsMax, positions, observing: false }))
      )
        return;
      this.#ask(askAgainMs * (1 + Math.random()) + this.spreadMs);
    }, delayMs);
  }

  #report(delayMs: number): void {
    clearTimeout(this.#reportTimer);
    this.#reported = false;
    const pauseMs = this.#lastReportMs + reportMs.pause - performance.now();
    this.#reportTimer = setTimeout(
      () => {
        this.#lastReportMs = performance.now();
        const scopes = [...this.#scopes.values()].map(({ scope, epoch, revision, hash }) => ({
          scope,
          epoch,
          revision,
          hash,
        }));
        const said = { version: "bench", firewall: "observe", enforcing: false, problems: [], refused: [] };
        const sent = this.send("status", encodeMessage({ v: 1, atMs: Date.now(), scopes, ...said }));
        this.#report(reportMs.every * (0.75 + Math.random() / 2));
        this.#reported = sent;
      },
      Math.max(delayMs, pauseMs),
    );
  }
}

let agents: readonly SimulatedAgent[] = [];

/** One process cannot shake thousands of hands at once; real agents each have a machine of their own for it. */
const openAtOnce = 64;
const waiting: SimulatedAgent[] = [];
let opening = 0;
function openSoon(agent: SimulatedAgent): void {
  waiting.push(agent);
  openWaiting();
}
function openWaiting(): void {
  for (let next = waiting[0]; next !== undefined && opening < openAtOnce; next = waiting[0]) {
    waiting.shift();
    opening += 1;
    next.open();
  }
}
/** Or the attempt has failed. */
function handShaken(): void {
  opening -= 1;
  openWaiting();
}

let watched = 0;
let missing = 0;

const say = (report: AgentsReport) => void process.send?.(report);

/** Says it once, as soon as the last agent has got there. */
function look(agent: SimulatedAgent): void {
  if (agent.reached || agent.fleet.revision < watched) return;
  agent.reached = true;
  missing -= 1;
  if (missing === 0) say({ said: "reached", revision: watched, atMs: Date.now() });
}

process.on("message", (order: AgentsOrder) => {
  if (order.do === "start") {
    const orderKey = createPublicKey({ key: Buffer.from(order.orderKey, "base64url"), format: "der", type: "spki" });
    const { place, tenant, known } = order;
    const common = { place, tenant, orderKey, frames: new SharedFrames(orderKey), changed: look };
    agents = order.users.map(({ host: name, jwt, key }, index) => {
      const der = Buffer.from(key, "base64");
      const user = { name, jwt, signingKey: createPrivateKey({ key: der, format: "der", type: "pkcs8" }) };
      return index < order.whole ? new WholeAgent(user, common) : new LightAgent(user, common, known);
    });
  } else if (order.do === "connect") {
    for (const agent of agents) openSoon(agent);
  } else if (order.do === "watch") {
    watched = order.revision;
    missing = agents.length;
    for (const agent of agents) {
      agent.reached = false;
      look(agent);
    }
  } else {
    const positions: Record<string, number> = {};
    for (const { fleet } of order.positions ? agents : []) {
      const key = `${fleet.epoch} ${fleet.revision} ${fleet.hash}`;
      positions[key] = (positions[key] ?? 0) + 1;
    }
    say({
      said: "state",
      agents: agents.length,
      inSync: agents.filter((agent) => agent.ready && agent.inSync).length,
      connects: agents.reduce((sum, { connects }) => sum + connects, 0),
      positions,
      rssMb: Math.round(process.memoryUsage.rss() / 1024 / 1024),
    });
  }
});
process.on("disconnect", () => process.exit(0));
