import { Fleet2banError } from "../../shared/errors.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";
import type { BanDecision, Trust } from "../domain/judge.ts";
import { StaleError } from "../refusals.ts";
import { listBans } from "../store/ban-lists.ts";
import { type BanView, banById, closeHeld } from "../store/bans.ts";
import type { OrderPlace } from "../store/hosts.ts";
import { findHeld, type HeldRow } from "../store/incidents.ts";
import { hostsBanning } from "../store/local-bans.ts";
import { plainText } from "../store/plain-text.ts";
import { currentPolicy, insertPolicy, type PolicyRecord } from "../store/policies.ts";
import { insertRule, type RuleKind, type RuleView, removeRule, ruleEndOrder, ruleOrder } from "../store/rules.ts";
import { insertTenant, setQuarantine } from "../store/tenants.ts";
import { type Act, canonical, writeAudit } from "./act.ts";
import type { Commit, JudgeWriter, Turn } from "./judge-writer.ts";

/** Standing bans of one net: one per scope and a few by hand. */
const bansOfNetMax = 10_000;
/** Hosts named in one entry of the audit log. */
const hostsNamedMax = 100;

export type BanRequest = Readonly<{
  net: string;
  scope: Scope;
  /** null = until lifted. */
  banTimeMs: number | null;
  ports: readonly number[] | null;
}>;

/** @throws Fleet2banError `conflict` when a list or a limit forbids it; the sentence says which */
export async function banByHand(writer: JudgeWriter, act: Act, request: BanRequest): Promise<BanView> {
  const { result, commit } = await writer.turn(act, (turn) => banInTurn(turn, act, request));
  const ban = await writer.read((sql) => banById(sql, result));
  if (ban === undefined)
    throw new Fleet2banError("internal", `ban ${result}: committed at ${commit.atMs} and not found`);
  return ban;
}

/** @param approved  a second admin agreed to a ban wider than one may make. @returns the ban's id */
export async function banInTurn(turn: Turn, act: Act, request: BanRequest, approved = false): Promise<number> {
  const net = canonical(request.net);
  const why = turn.judge.whyRefused(net, request.scope, approved);
  if (why !== undefined) throw new Fleet2banError("conflict", why);
  const { decisions } = turn.apply({ kind: "ban", ...request, net, approved });
  const made = decisions.find((each): each is BanDecision => each.kind === "ban" && each.level === null);
  if (made === undefined) throw new Fleet2banError("internal", "ban: not made");
  const { scope, banTimeMs, ports } = request;
  await writeAudit(turn, act, "ban", net, { tenant: tenantOf(scope), after: { id: made.id, scope, banTimeMs, ports } });
  return made.id;
}

export type Lifted = Readonly<{
  net: string;
  /** Bans that ended, and the places of their ends in the order logs. */
  bans: readonly BanView[];
  /** Hosts whose own bans it ends. */
  hosts: readonly string[];
  /** Places of orders that none of these bans stands for. */
  told: readonly OrderPlace[];
  commit: Commit;
}>;

/**
 * Lifts one ban everywhere it holds. One that has ended can still be called a false positive: the ladder forgets it.
 *
 * @throws Fleet2banError `not_found`, or `conflict` when it has ended and there is nothing to forget
 */
export async function unbanById(writer: JudgeWriter, act: Act, id: number, reason: UnbanReason): Promise<Lifted> {
  const { result, commit } = await writer.turn(act, async (turn) => {
    const ban = await banById(turn.sql, id);
    if (ban === undefined) throw new Fleet2banError("not_found", `there is no ban ${id}`);
    const { scope, untilMs, level, endReason } = ban;
    const isOver = ban.endedMs !== null;
    if (isOver && reason !== "false-positive") throw hasEnded(ban);
    const { decisions } = turn.apply({ kind: "unban", net: ban.net, scope, reason, id });
    if (isOver && !decisions.some((decision) => decision.kind === "mistake")) throw hasEnded(ban);
    const before = { id, scope, untilMs, level, ...(isOver && { endReason }) };
    await writeAudit(turn, act, "unban", ban.net, { tenant: tenantOf(scope), before, after: { reason } });
    return ban.net;
  });
  const ban = await writer.read((sql) => banById(sql, id));
  return { net: result, bans: ban === undefined ? [] : [ban], hosts: [], told: [], commit };
}

export function hasEnded({ id, net, endReason }: BanView): Fleet2banError {
  return new Fleet2banError("conflict", `ban ${id} of ${net} has ended already (${endReason})`);
}

export function nothingStands(net: string): Fleet2banError {
  return new Fleet2banError("not_found", `no ban of ${net} stands`);
}

export type UnbanNetRequest = Readonly<{
  net: string;
  reason: UnbanReason;
  /** null = every scope; otherwise only this tenant's own scope and hosts. */
  tenant: string | null;
}>;

/**
 * Lifts every ban of exactly this net within the asker's reach, and the hosts' own bans inside it. When none stands, a
 * false positive is about the bans that have ended: the ladder forgets them all.
 */
export async function unbanNet(writer: JudgeWriter, act: Act, request: UnbanNetRequest): Promise<Lifted> {
  const net = canonical(request.net);
  const { reason, tenant } = request;
  const { result, commit } = await writer.turn(act, async (turn) => {
    const filter = { active: true, net, tenant: tenant ?? undefined };
    const standing = await listBans(turn.sql, filter, bansOfNetMax);
    const bans = standing.filter((ban) => ban.net === net && (tenant === null || ban.scope !== "fleet"));
    const hosts = await hostsBanning(turn.sql, net, turn.nowMs, tenant);
    const mistakes = bans.length === 0 && reason === "false-positive" ? await forgetEnded(turn, net, tenant) : [];
    if (bans.length + hosts.length + mistakes.length === 0) {
      throw nothingStands(net);
    }
    for (const ban of bans) turn.apply({ kind: "unban", net, scope: ban.scope, reason, id: ban.id });
    // An unban of a wider scope ends the hosts' own bans as well; each host told once more loses nothing.
    const isTold = bans.some((ban) => ban.scope === "fleet" || ban.scope === `tenant:${tenant}`);
    const toTell = isTold ? [] : hosts;
    for (const host of toTell) turn.order(`host:${host}`, { kind: "unban", id: 0, net, reason });
    const ids = [...bans.map((ban) => ban.id), ...mistakes];
    const before = { ids, hosts: hosts.slice(0, hostsNamedMax) };
    await writeAudit(turn, act, "unban", net, { tenant, before, after: { reason } });
    return { ids, hosts, toTell };
  });
  const told = toldIn(
    commit,
    result.toTell.map((host) => `host:${host}` as const),
  );
  const bans = await writer.read((sql) => Promise.all(result.ids.map((id) => banById(sql, id))));
  return { net, bans: bans.filter((ban) => ban !== undefined), hosts: result.hosts, told, commit };
}

/** Where the orders of these scopes end in their logs. */
export function toldIn({ orders }: Commit, scopes: readonly Scope[]): OrderPlace[] {
  return orders
    .filter(({ scope }) => scopes.includes(scope))
    .map(({ scope, from, orders: told }) => ({ scope, revision: from + told.length }));
}

/** Calls the ended bans of exactly this net mistakes. @returns the ids of those that still counted */
async function forgetEnded(turn: Turn, net: string, tenant: string | null): Promise<number[]> {
  const known = await listBans(turn.sql, { net, tenant: tenant ?? undefined }, bansOfNetMax);
  const ended = known.filter((ban) => ban.net === net && ban.endedMs !== null);
  return ended.flatMap(({ id, scope }) => {
    if (tenant !== null && scope === "fleet") return [];
    const { decisions } = turn.apply({ kind: "unban", net, scope, reason: "false-positive", id });
    return decisions.flatMap((decision) => (decision.kind === "mistake" ? [decision.id] : []));
  });
}

export type RuleRequest = Readonly<{
  kind: RuleKind;
  net: string;
  /** null = the whole fleet; a never has no tenant. */
  tenant: string | null;
  reason: string;
  untilMs: number | null;
}>;

/** Puts a net on the allow or never list; what it covers is lifted at once. */
export async function addRule(writer: JudgeWriter, act: Act, request: RuleRequest): Promise<RuleView> {
  if (request.kind === "never" && request.tenant !== null) {
    throw new Fleet2banError("invalid", "never: holds for the whole fleet; write an allow for one tenant");
  }
  return (await writer.turn(act, (turn) => addRuleInTurn(turn, act, request))).result;
}

export async function addRuleInTurn(turn: Turn, act: Act, request: RuleRequest): Promise<RuleView> {
  const net = canonical(request.net);
  const rule = await insertRule(turn.sql, {
    ...request,
    net,
    reason: plainText(request.reason),
    by: act.by,
    createdMs: turn.nowMs,
  });
  const { scope, order } = ruleOrder(rule);
  turn.order(scope, order);
  turn.apply(ruleFact(rule, true));
  const after = { id: rule.id, untilMs: rule.untilMs };
  await writeAudit(turn, act, rule.kind, net, { tenant: rule.tenant, after });
  return rule;
}

/** @throws Fleet2banError `not_found` when no such entry stands */
export async function takeBackRule(writer: JudgeWriter, act: Act, kind: RuleKind, id: number): Promise<RuleView> {
  const { result } = await writer.turn(act, async (turn) => {
    const rule = await removeRule(turn.sql, kind, id, turn.nowMs, act.by);
    if (rule === undefined) throw new Fleet2banError("not_found", `there is no entry ${id} on the ${kind} list`);
    endRule(turn, rule);
    const before = { id, reason: rule.reason, untilMs: rule.untilMs };
    await writeAudit(turn, act, `remove ${kind}`, rule.net, { tenant: rule.tenant, before });
    return rule;
  });
  return result;
}

/** Tells judge and agents that an entry is off its list. */
export function endRule(turn: Turn, rule: RuleView): void {
  turn.apply(ruleFact(rule, false));
  const { scope, order } = ruleEndOrder(rule);
  turn.order(scope, order);
}

function ruleFact(rule: RuleView, add: boolean) {
  if (rule.kind === "never") return { kind: "never", net: rule.net, add } as const;
  return { kind: "allow", net: rule.net, tenant: rule.tenant, add } as const;
}

/** What the brake held is banned now (`release`) or forgotten (`drop`). @returns the bans made */
export async function decideHeld(
  writer: JudgeWriter,
  act: Act,
  kind: "release" | "drop",
  held: Readonly<{ net: string; scope: Scope }>,
): Promise<Commit> {
  const net = canonical(held.net);
  const { commit } = await writer.turn(act, async (turn) => {
    const isHeld = turn.judge.held().some((each) => each.net === net && each.scope === held.scope);
    if (!isHeld) throw new Fleet2banError("not_found", `no ban of ${net} for ${held.scope} is held`);
    await closeHeld(turn.sql, net, held.scope, turn.nowMs);
    turn.apply({ kind, net, scope: held.scope });
    await writeAudit(turn, act, kind, net, { tenant: tenantOf(held.scope), before: { scope: held.scope } });
  });
  return commit;
}

/** The same by number. @throws Fleet2banError `not_found` when it is not held (any more) */
export async function decideHeldById(
  writer: JudgeWriter,
  act: Act,
  kind: "release" | "drop",
  id: number,
): Promise<HeldRow> {
  const held = await writer.read((sql) => findHeld(sql, id));
  if (held === undefined) throw new Fleet2banError("not_found", `no ban is held under ${id}`);
  await decideHeld(writer, act, kind, held);
  return held;
}

/** A quarantined host's failures are evidence only; a quarantined tenant (`host` null) has no vote. */
export async function quarantine(
  writer: JudgeWriter,
  act: Act,
  request: Readonly<{ tenant: string; host: string | null; on: boolean }>,
): Promise<void> {
  const { tenant, host, on } = request;
  const target = host === null ? tenant : `${tenant}/${host}`;
  await writer.turn(act, async (turn) => {
    if (!(await setQuarantine(turn.sql, tenant, host, on, turn.nowMs))) {
      throw new Fleet2banError("not_found", `quarantine: there is no ${host === null ? "tenant" : "host"} ${target}`);
    }
    turn.apply({ kind: "quarantine", tenant, host, on });
    await writeAudit(turn, act, on ? "quarantine" : "end quarantine", target, { tenant, after: { quarantined: on } });
  });
}

export async function addTenant(
  writer: JudgeWriter,
  act: Act,
  request: Readonly<{ name: string; trust: Trust }>,
): Promise<void> {
  const { name, trust } = request;
  await writer.turn(act, async (turn) => {
    await insertTenant(turn.sql, name, trust, turn.nowMs);
    turn.apply({ kind: "tenant", tenant: name, trust, createdAtMs: turn.nowMs });
    await writeAudit(turn, act, "add tenant", name, { tenant: name, after: { trust } });
  });
}

/**
 * Puts the next version of the policy in force.
 *
 * @param upon  the version it was written upon; null = whatever is in force
 * @throws Fleet2banError `invalid` naming setting and remedy, StaleError when another version is in force
 */
export async function setPolicy(
  writer: JudgeWriter,
  act: Act,
  document: string,
  upon: number | null = null,
): Promise<PolicyRecord> {
  const { result } = await writer.turn(act, async (turn) => {
    const before = await currentPolicy(turn.sql);
    if (upon !== null && upon !== before.version) throw new StaleError("the policy");
    const policy = await insertPolicy(turn.sql, plainText(document), act.by, turn.nowMs);
    turn.renew();
    const change = { before: { version: before.version, document: before.document }, after: { document } };
    await writeAudit(turn, act, "set policy", `policy ${policy.version}`, { tenant: null, ...change });
    return policy;
  });
  return result;
}

/** Whom an entry of the audit log about this scope concerns besides the fleet. */
export function tenantOf(scope: Scope): string | null {
  return scope.startsWith("tenant:") ? scope.slice("tenant:".length) : null;
}
