import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fleet, type FleetParts, openFleet } from "../../agent/fleet/fleet.ts";
import { agentJwt } from "../../server/bus/jwt.ts";
import { newUserNkey } from "../../server/bus/keys.ts";
import type { AgentCredentials } from "../../shared/enrollment.ts";
import type { Order, Scope } from "../../shared/order.ts";
import { MemoryOrderStore, OutboxDisk, quietLog } from "./fleet-memory.ts";
import type { TestNats } from "./nats.ts";

/** One host as the fleet sees it: its credentials and disk outlive the agent, which may be restarted. */
export class FleetAgent implements AsyncDisposable {
  readonly host: string;
  readonly tenant: string;
  readonly disk = new OutboxDisk();
  readonly orderStore = new MemoryOrderStore();
  /** What the orders handed to this host amount to, per scope. */
  readonly enforced = new Map<Scope, Map<string, Order>>();
  readonly #credentials: AgentCredentials;
  readonly #dir = mkdtempSync(join(tmpdir(), "fleet2ban-agent-"));
  readonly #refuse: FleetParts["refuse"];
  #fleet: Fleet | undefined;

  constructor(nats: TestNats, host: string, tenant = "t1", refuse: FleetParts["refuse"] = () => undefined) {
    this.host = host;
    this.tenant = tenant;
    this.#refuse = refuse;
    const nkey = newUserNkey();
    const { url, ca } = nats.address;
    const jwt = agentJwt(nats.keys, { publicKey: nkey.publicKey, host, tenant }, Date.now());
    this.#credentials = { v: 1, url, ca, orderKey: nats.keys.ordersPublic, host, tenant, seed: nkey.seed, jwt };
  }

  get fleet(): Fleet {
    this.#fleet ??= this.#open();
    return this.#fleet;
  }

  /** As `kill -9`: whatever was only in memory is gone. */
  async crash(): Promise<void> {
    this.disk.die();
    await this.#fleet?.[Symbol.asyncDispose]();
    this.#fleet = undefined;
    this.enforced.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet?.[Symbol.asyncDispose]();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #open(): Fleet {
    return openFleet({
      credentials: this.#credentials,
      credentialsFile: join(this.#dir, "agent.credentials"),
      outboxStore: this.disk.open(),
      orderStore: this.orderStore,
      onOrders: (scope, orders) => this.#enforce(scope, orders),
      refuse: this.#refuse,
      status: () => ({ version: "0", firewall: "observe", enforcing: false, problems: [] }),
      now: Date.now,
      random: Math.random,
      log: quietLog,
    });
  }

  #enforce(scope: Scope, orders: readonly Order[]): void {
    const standing = this.enforced.get(scope) ?? new Map<string, Order>();
    this.enforced.set(scope, standing);
    for (const order of orders) {
      if (order.kind === "ban" || order.kind === "allow") standing.set(`${order.kind} ${order.id}`, order);
      else standing.delete(`${order.kind === "unban" ? "ban" : "allow"} ${order.id}`);
    }
  }
}
