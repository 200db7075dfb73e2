import { feedOf } from "./feed-ban.ts";
import type { Decision, Deed, Fact } from "./judge.ts";
import { quarantine } from "./protect.ts";
import { restoreBan } from "./restore.ts";
import { owns, readNet, type State } from "./state.ts";

/**
 * Remembers what another judge did. Its facts change the lists and nothing else: what they led to, the bans they lifted
 * for example, follows as decisions of its own.
 */
export function follow(state: State, { atMs, facts, decisions }: Deed): void {
  for (const fact of facts) heed(state, fact, atMs);
  for (const decision of decisions) accept(state, decision);
}

function heed(state: State, fact: Fact, atMs: number): void {
  switch (fact.kind) {
    case "tenant":
      Object.assign(state.tenants.get(fact.tenant), { trust: fact.trust, createdAtMs: fact.createdAtMs });
      return;
    case "allow": {
      const allows = fact.tenant === null ? state.lists.fleetAllows : state.tenants.get(fact.tenant).allows;
      if (fact.add) allows.set(readNet(fact.net), true);
      else allows.delete(readNet(fact.net));
      return;
    }
    case "never":
      if (fact.add) state.lists.addNever(readNet(fact.net));
      else state.lists.removeNever(readNet(fact.net));
      return;
    case "quarantine":
      quarantine(state, fact, atMs);
      return;
    case "drop":
    case "release":
      state.brake.drop(readNet(fact.net), fact.scope);
      return;
    default:
      // The rest is in the decisions.
      return;
  }
}

function accept(state: State, decision: Decision): void {
  switch (decision.kind) {
    case "ban": {
      if (feedOf(decision.reason) === undefined) state.brake.take(decision.net, decision.scope);
      const { kind: _kind, atMs: startMs, ...ban } = decision;
      restoreBan(state, { ...ban, startMs, endMs: null, endReason: null });
      return;
    }
    case "unban": {
      const ban = state.bans.allOf(readNet(decision.net)).find(({ id }) => id === decision.id);
      if (ban !== undefined && ban.endMs === null) state.bans.end(ban, decision.atMs, decision.reason);
      return;
    }
    case "mistake": {
      const ban = state.bans.of(readNet(decision.net)).find(({ id }) => id === decision.id);
      if (ban !== undefined) ban.endReason = "false-positive";
      return;
    }
    case "held":
    case "refused": {
      const net = readNet(decision.net);
      if (decision.kind === "held") state.brake.hold(decision);
      if (decision.tenant === null || !owns(state, net)) return;
      state.windows.settle(state.tenants.get(decision.tenant).number, net, decision.atMs);
      return;
    }
    case "quarantine": {
      const { tenant, host } = decision;
      quarantine(state, { kind: "quarantine", tenant, host, on: true }, decision.atMs);
      return;
    }
  }
}
