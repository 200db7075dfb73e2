import type {
  Decision,
  Fact,
  Memory,
  Outcome,
  QuarantineDecision,
  RememberedBan,
  RememberedFailure,
  StoppedDecision,
} from "../../../server/domain/judge.ts";
import { formatNet, parseNet } from "../../../shared/address.ts";

const canonical = (text: string): string => {
  const net = parseNet(text);
  return net === undefined ? text : formatNet(net);
};

/** What a database would hold after each fact: the rows `Memory` asks for, and nothing the judge keeps to itself. */
export class Ledger {
  readonly #tenants = new Map<string, Memory["tenants"] extends Iterable<infer T> ? T : never>();
  readonly #allows = new Map<string, { net: string; tenant: string | null }>();
  readonly #nevers = new Set<string>();
  readonly #quarantines = new Map<
    string,
    { tenant: string; host: string | null; on: boolean; liftedAtMs: number | null }
  >();
  readonly #bans = new Map<number, RememberedBan>();
  readonly #failures: RememberedFailure[] = [];
  readonly #settled: { tenant: string; net: string; atMs: number }[] = [];
  readonly #held = new Map<string, StoppedDecision>();
  #lastBanId = 0;

  record(fact: Fact, nowMs: number, { decisions, weight }: Outcome): void {
    if (fact.kind === "tenant") this.#tenants.set(fact.tenant, fact);
    if (fact.kind === "never") {
      if (fact.add) this.#nevers.add(canonical(fact.net));
      else this.#nevers.delete(canonical(fact.net));
    }
    if (fact.kind === "allow") {
      const key = `${fact.tenant} ${canonical(fact.net)}`;
      if (fact.add) this.#allows.set(key, { net: fact.net, tenant: fact.tenant });
      else this.#allows.delete(key);
    }
    if (fact.kind === "quarantine") this.#quarantine(fact.tenant, fact.host, fact.on, nowMs);
    if (fact.kind === "drop" || fact.kind === "release") this.#held.delete(`${fact.scope} ${canonical(fact.net)}`);
    if (fact.kind === "failure" && (weight === "fleet" || weight === "tenant")) {
      const { tenant, host, jail, address, count } = fact;
      this.#failures.push({ weight, atMs: Math.min(fact.atMs, nowMs), tenant, host, jail, net: address, count });
    }
    for (const decision of decisions) {
      if (decision.kind === "quarantine") this.#quarantine(decision.tenant, decision.host, true, nowMs);
      else this.#decide(decision);
    }
  }

  #decide(decision: Exclude<Decision, QuarantineDecision>): void {
    const key = `${decision.scope} ${decision.net}`;
    if (decision.kind === "ban") {
      const { id, net, scope, level, atMs: startMs, untilMs, ports, reason, evidence, vote } = decision;
      const open = { endMs: null, endReason: null };
      this.#bans.set(id, { id, net, scope, level, startMs, untilMs, ports, reason, evidence, vote, ...open });
      this.#lastBanId = id;
      this.#held.delete(key);
    } else if (decision.kind === "unban") {
      const ban = this.#bans.get(decision.id);
      if (ban) this.#bans.set(ban.id, { ...ban, endMs: decision.atMs, endReason: decision.reason });
    } else if (decision.kind === "mistake") {
      const ban = this.#bans.get(decision.id);
      if (ban) this.#bans.set(ban.id, { ...ban, endReason: "false-positive" });
    } else {
      const { tenant, net, atMs } = decision;
      if (tenant !== null) this.#settled.push({ tenant, net, atMs });
      if (decision.kind === "held") this.#held.set(key, decision);
    }
  }

  #quarantine(tenant: string, host: string | null, on: boolean, nowMs: number): void {
    const key = `${tenant}/${host}`;
    const liftedAtMs = on ? (this.#quarantines.get(key)?.liftedAtMs ?? null) : nowMs;
    this.#quarantines.set(key, { tenant, host, on, liftedAtMs });
  }

  /** The rows, each kind in an order of the database's own liking. */
  memory(): Memory {
    return {
      tenants: [...this.#tenants.values()],
      allows: [...this.#allows.values()],
      nevers: [...this.#nevers].map((net) => ({ net })),
      quarantines: [...this.#quarantines.values()],
      bans: [...this.#bans.values()].toReversed(),
      failures: this.#failures.toReversed(),
      settled: this.#settled.toReversed(),
      held: [...this.#held.values()],
      lastBanId: this.#lastBanId,
    };
  }
}
