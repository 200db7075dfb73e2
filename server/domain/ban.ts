import { formatNet, type Net } from "../../shared/address.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";
import type { Ban } from "./ban-book.ts";
import { noEvidence } from "./evidence.ts";
import { feedOf, reasonOfFeed } from "./feed-ban.ts";
import type { BanReason, Decision, Evidence, RuleReason } from "./judge.ts";
import { levelOf } from "./ladder.ts";
import type { State } from "./state.ts";

/** Nets looked over for old history at each new ban: more leave than come. A tick looks over many more. */
const sweepNetsPerBan = 4;

/** An automatic ban that is due. */
export type Proposal = Readonly<{
  net: Net;
  scope: Scope;
  reason: RuleReason;
  /** What a ban of level 0 closes; null = every port. */
  ports: readonly number[] | null;
  evidence: Evidence;
  vote: boolean;
  /** The tenant whose incident this answers: its failures are settled when the ban is not made. */
  tenant: string | null;
}>;

/** Makes an automatic ban, and its network's where that is due, unless a list forbids it or the brake holds it. */
export function propose(state: State, proposal: Proposal, decisions: Decision[], released = false): Ban | undefined {
  const { net, scope, ports, reason, evidence, tenant } = proposal;
  const stop = (kind: "held" | "refused", why: string): undefined => {
    const decision = { kind, atMs: state.clockMs, net: formatNet(net), scope, why, ports, reason, evidence, tenant };
    if (kind === "held") state.brake.hold(decision);
    if (tenant !== null) {
      const settled = state.tenants.get(tenant);
      state.windows.settle(settled.number, net, state.clockMs);
    }
    decisions.push(decision);
  };
  const forbidden = whyForbidden(state, net, scope);
  if (forbidden !== undefined) return stop("refused", forbidden);
  if (scope === "fleet" && !released && state.brake.isOn(state.clockMs)) {
    const limit = state.policy.limits.fleetBansPerMinute;
    return stop("held", `more than ${limit} automatic fleet bans in a minute; an admin may release or drop it`);
  }
  const { ladder, networks } = state.policy;
  const levelMax = reason === "network" ? (networks[net.family]?.maxLevel ?? 0) : ladder.length - 1;
  const history = state.bans.of(net).filter((ban) => ban.scope === scope);
  const level = levelOf(history, ladder, state.clockMs, levelMax);
  const ban = start(
    state,
    { ...proposal, level, banTimeMs: ladder[level]?.banTimeMs ?? ladder[0].banTimeMs },
    decisions,
  );
  proposeNetwork(state, ban, decisions);
  return ban;
}

function proposeNetwork(state: State, ban: Ban, decisions: Decision[]): void {
  const due = state.networks.due(ban, state.clockMs);
  // While the network's ban stands, failures under it are evidence only: no ban inside it brings us here.
  if (due === undefined) return;
  const { net, evidence } = due;
  const proposal = {
    net,
    scope: ban.scope,
    reason: "network",
    ports: null,
    evidence,
    vote: false,
    tenant: null,
  } as const;
  propose(state, proposal, decisions);
}

/** Bans what the brake held, if it still holds it; at the level of now. */
export function release(state: State, net: Net, scope: Scope, decisions: Decision[]): void {
  const held = state.brake.take(formatNet(net), scope);
  if (held === undefined || !isRule(held.reason)) return;
  if (state.bans.stands(net, scope)) return;
  propose(state, { ...held, reason: held.reason, net, vote: false }, decisions, true);
}

const isRule = (reason: BanReason): reason is RuleReason => reason !== "admin" && feedOf(reason) === undefined;

export function banByHand(
  state: State,
  request: Readonly<{
    net: Net;
    scope: Scope;
    banTimeMs: number | null;
    ports: readonly number[] | null;
    approved?: boolean;
  }>,
  decisions: Decision[],
): void {
  const why = whyRefused(state, request.net, request.scope, request.approved);
  const byHand = { ...request, reason: "admin", evidence: noEvidence } as const;
  if (why === undefined) {
    start(state, { ...byHand, level: null, vote: false }, decisions);
    return;
  }
  const { scope, ports, reason, evidence } = byHand;
  const net = formatNet(request.net);
  decisions.push({ kind: "refused", atMs: state.clockMs, net, scope, why, ports, reason, evidence, tenant: null });
}

/**
 * Bans what a feed lists, by nothing but its word: weaker than any list of ours, no evidence, no rung of the ladder, and
 * not a matter for the brake, which is about what our own rules do. How much a feed may change has limits of its own.
 */
export function banListed(
  state: State,
  { net, feed, untilMs }: Readonly<{ net: Net; feed: string; untilMs: number }>,
  decisions: Decision[],
): void {
  if (whyRefused(state, net, "fleet") !== undefined) return;
  const listed = { net, scope: "fleet", ports: null, reason: reasonOfFeed(feed), evidence: noEvidence } as const;
  start(state, { ...listed, level: null, vote: false, banTimeMs: untilMs - state.clockMs }, decisions);
}

/** Why this may not be banned by hand; undefined when an admin may, or two (`approved`). */
export function whyRefused(state: State, net: Net, scope: Scope, approved = false): string | undefined {
  // What nobody may do comes first: no second admin should be asked for it.
  return whyForbidden(state, net, scope) ?? (approved ? undefined : whyTooWide(state, net));
}

export function whyTooWide(state: State, net: Net): string | undefined {
  const widest = state.policy.limits.widestBan[net.family];
  if (net.prefix >= widest) return undefined;
  return `${formatNet(net)} is wider than /${widest} (limits.widestBan); a second admin must approve it`;
}

/** Why the lists forbid this ban; undefined when they do not. */
export function whyForbidden(state: State, net: Net, scope: Scope): string | undefined {
  const never = state.lists.whyNever(net);
  if (never !== undefined) return never;
  const allows = scope === "fleet" ? state.lists.fleetAllows : allowsOf(state, scope);
  if (allows?.covers(net) !== true) return undefined;
  return `${formatNet(net)} is allowed for ${scope}; take the allow back first`;
}

function allowsOf(state: State, scope: Scope) {
  return scope.startsWith("tenant:") ? state.tenants.get(scope.slice("tenant:".length)).allows : undefined;
}

export function lift(state: State, ban: Ban, atMs: number, reason: UnbanReason, decisions: Decision[]): void {
  state.bans.end(ban, atMs, reason);
  const feed = feedOf(ban.reason);
  const unban = { kind: "unban", id: ban.id, atMs, net: formatNet(ban.net), scope: ban.scope, reason } as const;
  decisions.push(feed === undefined ? unban : { ...unban, feed });
}

type NewBan = Pick<Ban, "net" | "scope" | "level" | "ports" | "reason" | "evidence" | "vote"> &
  Readonly<{ banTimeMs: number | null }>;

function start(state: State, request: NewBan, decisions: Decision[]): Ban {
  const { net, scope, level, reason, evidence, vote, banTimeMs } = request;
  state.lastBanId += 1;
  const ban: Ban = {
    id: state.lastBanId,
    net,
    scope,
    level,
    startMs: state.clockMs,
    untilMs: banTimeMs === null ? null : state.clockMs + banTimeMs,
    endMs: null,
    endReason: null,
    // Who comes back after a first ban is locked out of everything, not of one service.
    ports: level === null || level === 0 ? request.ports : null,
    reason,
    evidence,
    vote,
  };
  state.made.push(ban);
  state.bans.add(ban);
  if (level !== null) state.networks.add(ban);
  if (level !== null && scope === "fleet") state.brake.note(ban.startMs);
  // What the brake holds is of our own making and stays for an admin, whatever a feed says.
  if (feedOf(reason) === undefined) state.brake.take(formatNet(net), scope);
  forgetOld(state, sweepNetsPerBan);
  const { id, untilMs, ports } = ban;
  decisions.push({
    kind: "ban",
    id,
    atMs: ban.startMs,
    net: formatNet(net),
    scope,
    level,
    untilMs,
    ports,
    reason,
    evidence,
    vote,
  });
  return ban;
}

/** Forgets history that nothing looks back on, a part at a time. */
export function forgetOld(state: State, netsMax: number): void {
  for (const old of state.bans.sweep(state.clockMs - state.bansMs, netsMax)) state.networks.forget(old);
}
