import { formatNet, parseAddress, subjectOf } from "../../shared/address.ts";
import { banByHand, banListed, forgetOld, lift, release, whyForbidden, whyRefused, whyTooWide } from "./ban.ts";
import { explain } from "./explain.ts";
import { judgeFailure } from "./failure.ts";
import { follow } from "./follow.ts";
import type { Decision, Fact, Judge, Memory, Outcome, Weight } from "./judge.ts";
import { partitionOf } from "./partition.ts";
import type { Policy } from "./policy.ts";
import { allow, never, quarantine } from "./protect.ts";
import { recall, restore } from "./restore.ts";
import { newState, owns, readNet, type State } from "./state.ts";

/** Nets looked over for old history per tick: round in minutes at a tick per second, too few to be felt. */
const sweepNetsPerTick = 1000;

/** Most failures decide nothing; they share an outcome by weight. */
const quiet = new Map<Weight | null, Outcome>();

/** `share`: the partitions to decide about, of those others judge; absent = all. */
export type Past = Readonly<{ memory: Memory; nowMs: number; share?: ReadonlySet<number> | null }>;

/**
 * A judge with an empty memory, or with that of the judge before it.
 *
 * @param past  what the database holds (see `Memory`) and the time now
 * @throws Fleet2banError `invalid` when a remembered net cannot be read
 */
export function createJudge(policy: Policy, past?: Past): Judge {
  const state = newState(policy);
  state.share = past?.share ?? null;
  if (past !== undefined) restore(state, past.memory, past.nowMs);
  let spare: Decision[] = [];
  return {
    apply(fact, nowMs) {
      // Before anything changes: a word that cannot be read must not cost the expiries that came with it.
      if ("net" in fact) readNet(fact.net);
      state.clockMs = Math.max(state.clockMs, nowMs);
      // Most failures decide nothing: what they left empty serves the next one.
      const decisions: Decision[] = spare.length === 0 ? spare : [];
      spare = decisions;
      for (let due = state.bans.takeDue(state.clockMs); due !== undefined; due = state.bans.takeDue(state.clockMs)) {
        // Whoever owns it ends it.
        if (owns(state, due.net)) lift(state, due, due.untilMs ?? state.clockMs, "expired", decisions);
      }
      return outcomeOf(decisions, take(state, fact, decisions));
    },
    whyRefused: (net, scope, approved) => whyRefused(state, readNet(net), scope, approved),
    whyTooWide: (net) => whyTooWide(state, readNet(net)),
    follow: (deed) => follow(state, deed),
    begin: () => {
      state.made = [];
      return state.lastBanId;
    },
    renumber: (lastBanId) => {
      for (const [index, ban] of state.made.entries()) ban.id = lastBanId + index + 1;
      state.lastBanId = lastBanId + state.made.length;
    },
    keepOnly: (share) => {
      state.share = share;
    },
    partitionOf: (text) => {
      const address = parseAddress(text);
      return address && partitionOf(subjectOf(address, policy.ipv6Prefix), policy);
    },
    owns: (text) => {
      const address = parseAddress(text);
      return address === undefined || owns(state, subjectOf(address, policy.ipv6Prefix));
    },
    brake: (nowMs) => ({ count: state.brake.count(nowMs), limit: policy.limits.fleetBansPerMinute }),
    explain: (address, nowMs, counted) =>
      explain(counted === undefined ? state : recall(state, counted), address, Math.max(state.clockMs, nowMs)),
    held: () => state.brake.held().filter((held) => whyForbidden(state, readNet(held.net), held.scope) === undefined),
    size: () => ({
      subjects: state.windows.size,
      bans: state.bans.count,
      standing: state.bans.standing,
      held: state.brake.held().length,
    }),
  };
}

function take(state: State, fact: Fact, decisions: Decision[]): Weight | null {
  switch (fact.kind) {
    case "failure":
      return judgeFailure(state, fact, decisions);
    case "tenant":
      Object.assign(state.tenants.get(fact.tenant), { trust: fact.trust, createdAtMs: fact.createdAtMs });
      return null;
    case "allow":
      allow(state, readNet(fact.net), fact.tenant, fact.add, decisions);
      return null;
    case "never":
      never(state, readNet(fact.net), fact.add, decisions);
      return null;
    case "ban":
      banByHand(state, { ...fact, net: readNet(fact.net) }, decisions);
      return null;
    case "unban":
      unban(state, fact, decisions);
      return null;
    case "feed":
      banListed(state, { ...fact, net: readNet(fact.net) }, decisions);
      return null;
    case "release":
      release(state, readNet(fact.net), fact.scope, decisions);
      return null;
    case "drop":
      state.brake.drop(readNet(fact.net), fact.scope);
      return null;
    case "quarantine":
      quarantine(state, fact, state.clockMs);
      return null;
    case "tick":
      forgetOld(state, sweepNetsPerTick);
      return null;
  }
}

function unban(state: State, fact: Extract<Fact, { kind: "unban" }>, decisions: Decision[]): void {
  const net = readNet(fact.net);
  const meant = state.bans
    .allOf(net)
    .filter((ban) => ban.scope === fact.scope && (fact.id === undefined || fact.id === ban.id));
  const standing = meant.filter((ban) => ban.endMs === null);
  for (const ban of standing) lift(state, ban, state.clockMs, fact.reason, decisions);
  if (standing.length > 0 || fact.reason !== "false-positive") return;
  for (const ban of meant) {
    if (ban.level === null || ban.endReason === "false-positive") continue;
    ban.endReason = "false-positive";
    decisions.push({ kind: "mistake", id: ban.id, atMs: state.clockMs, net: formatNet(net), scope: ban.scope });
  }
}

function outcomeOf(decisions: readonly Decision[], weight: Weight | null): Outcome {
  if (decisions.length > 0) return { decisions, weight };
  let outcome = quiet.get(weight);
  if (outcome === undefined) {
    outcome = { decisions: [], weight };
    quiet.set(weight, outcome);
  }
  return outcome;
}
