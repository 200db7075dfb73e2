import { formatNet, type Net, widen } from "../../shared/address.ts";
import type { Scope } from "../../shared/order.ts";
import type { Ban } from "./ban-book.ts";
import { sumEvidence } from "./evidence.ts";
import type { Evidence } from "./judge.ts";
import type { NetworkPolicy, Policy } from "./policy.ts";

/** A network whose subjects were banned often enough that it is banned whole. */
export type DueNetwork = Readonly<{ net: Net; levelMax: number; evidence: Evidence }>;

/** Automatic bans of single subjects by the network they lie in and their scope. */
export class Networks {
  readonly #recent = new Map<string, Ban[]>();
  readonly #policy: Policy["networks"];

  constructor(policy: Policy["networks"]) {
    this.#policy = policy;
  }

  /** Notes a ban; those of networks and those by hand say nothing about neighbours. */
  add(ban: Ban): void {
    const rule = this.#ruleOf(ban);
    if (rule === null) return;
    const key = keyOf(ban, rule);
    const known = this.#recent.get(key);
    if (known === undefined) this.#recent.set(key, [ban]);
    else known.push(ban);
  }

  /** The network around `ban`, when enough of its subjects were banned in this scope. */
  due(ban: Ban, nowMs: number): DueNetwork | undefined {
    const rule = this.#ruleOf(ban);
    if (rule === null) return undefined;
    const bans = this.#recent.get(keyOf(ban, rule)) ?? [];
    const latest = new Map<number | bigint, Ban>();
    for (const each of bans) {
      const counts = nowMs - each.startMs <= rule.withinMs && each.endReason !== "false-positive";
      if (counts) latest.set(each.net.value, each);
    }
    if (latest.size < rule.subjects) return undefined;
    const evidence = sumEvidence([...latest.values()].map((each) => each.evidence));
    return { net: widen(ban.net, rule.prefix), levelMax: rule.maxLevel, evidence };
  }

  forget(ban: Ban): void {
    const rule = this.#ruleOf(ban);
    if (rule === null) return;
    const key = keyOf(ban, rule);
    const kept = this.#recent.get(key)?.filter((each) => each !== ban) ?? [];
    if (kept.length === 0) this.#recent.delete(key);
    else this.#recent.set(key, kept);
  }

  #ruleOf(ban: Ban): NetworkPolicy | null {
    if (ban.level === null || ban.reason === "network") return null;
    const rule = this.#policy[ban.net.family];
    return rule !== null && rule.prefix < ban.net.prefix ? rule : null;
  }
}

const keyOf = (ban: Readonly<{ net: Net; scope: Scope }>, rule: NetworkPolicy): string =>
  `${ban.scope} ${formatNet(widen(ban.net, rule.prefix))}`;
