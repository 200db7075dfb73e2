import { dayMs, formatDurationMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Scope, UnbanReason } from "../../shared/order.ts";
import { LimitError } from "../refusals.ts";
import { selfServiceSince } from "../store/audit.ts";
import { listBans } from "../store/ban-lists.ts";
import { type BanView, banById } from "../store/bans.ts";
import { coveringNets } from "../store/covering-nets.ts";
import { hostsBanning } from "../store/local-bans.ts";
import { insertRule, type RuleView, ruleOrder } from "../store/rules.ts";
import { type Act, canonical, writeAudit } from "./act.ts";
import { type Lifted, nothingStands, toldIn } from "./admin-acts.ts";
import type { JudgeWriter, Turn } from "./judge-writer.ts";

/** What a customer may lift alone. More often than this a stolen panel password is as likely as a forgetful user. */
export const selfServiceUnbansPerDay = 3;
/** What a tenant's own unban of a fleet ban gives: a day for its hosts, while the desk looks into it. */
export const tenantExceptionMs = dayMs;
/** A tenant's standing bans of one net: its own scope's and its hosts'. */
const bansMax = 10_000;

export type SelfServiceLift = Lifted &
  Readonly<{
    /** The exception its hosts got from a fleet ban that goes on for all others. */
    exception: RuleView | null;
  }>;

export type SelfServiceRequest = Readonly<{ tenant: string; net: string; reason: UnbanReason; id?: number }>;

/**
 * A tenant lifts what it may: bans of its own scope and hosts. A fleet ban goes on, and its hosts get an exception.
 *
 * @param request  with `id`: this ban only
 * @throws LimitError at the fourth time within a day, Fleet2banError `not_found`
 */
export async function unbanAsTenant(
  writer: JudgeWriter,
  act: Act,
  request: SelfServiceRequest,
): Promise<SelfServiceLift> {
  const net = canonical(request.net);
  const { tenant, reason } = request;
  const { result, commit } = await writer.turn(act, async (turn) => {
    const found = await findBans(turn, request, net);
    if (found.own.length === 0 && found.hosts.length === 0 && found.fleet.length === 0) {
      throw nothingStands(net);
    }
    await checkLimit(turn, tenant);
    for (const ban of found.own) turn.apply({ kind: "unban", net: ban.net, scope: ban.scope, reason, id: ban.id });
    const isTold = found.own.some((ban) => ban.scope === `tenant:${tenant}`);
    const toTell = isTold ? [] : found.hosts;
    for (const host of toTell) turn.order(`host:${host}`, { kind: "unban", id: 0, net, reason });
    const exception = found.fleet.length === 0 ? null : await except(turn, act, tenant, net);
    const ids = found.own.map((ban) => ban.id);
    await writeAudit(turn, act, "unban", net, {
      tenant,
      before: { ids, hosts: found.hosts },
      after: { reason, exception: exception?.id ?? null },
      selfService: true,
    });
    const scopes: Scope[] = toTell.map((host) => `host:${host}` as const);
    if (exception !== null) scopes.push(`tenant:${tenant}`);
    return { ids, hosts: found.hosts, exception, scopes };
  });
  const bans = await writer.read((sql) => Promise.all(result.ids.map((id) => banById(sql, id))));
  return {
    net,
    bans: bans.filter((ban) => ban !== undefined),
    hosts: result.hosts,
    exception: result.exception,
    told: toldIn(commit, result.scopes),
    commit,
  };
}

type Found = Readonly<{ own: readonly BanView[]; fleet: readonly BanView[]; hosts: readonly string[] }>;

async function findBans({ sql, nowMs }: Turn, { tenant, id }: SelfServiceRequest, net: string): Promise<Found> {
  if (id !== undefined) {
    const ban = await banById(sql, id);
    if (ban === undefined) throw new Fleet2banError("not_found", `there is no ban ${id}`);
    if (ban.endedMs !== null) {
      throw new Fleet2banError("conflict", `ban ${id} of ${ban.net} has ended already (${ban.endReason})`);
    }
    return ban.scope === "fleet" ? { own: [], fleet: [ban], hosts: [] } : { own: [ban], fleet: [], hosts: [] };
  }
  const standing = await listBans(sql, { active: true, net, tenant }, bansMax);
  const own = standing.filter((ban) => ban.net === net && ban.scope !== "fleet");
  const fleet = await sql.rows<BanView>(
    "select id, net, scope from bans where ended_ms is null and scope = 'fleet' and net = any($1::cidr[])",
    [coveringNets(net)],
  );
  return { own, fleet, hosts: await hostsBanning(sql, net, nowMs, tenant) };
}

async function except(turn: Turn, act: Act, tenant: string, net: string): Promise<RuleView> {
  const reason = act.note ?? "lifted by the tenant";
  const untilMs = turn.nowMs + tenantExceptionMs;
  const rule = { kind: "allow", net, tenant, reason, by: act.by, createdMs: turn.nowMs, untilMs } as const;
  const made = await insertRule(turn.sql, rule);
  const { scope, order } = ruleOrder(made);
  turn.order(scope, order);
  turn.apply({ kind: "allow", net, tenant, add: true });
  return made;
}

async function checkLimit({ sql, nowMs }: Turn, tenant: string): Promise<void> {
  const times = await selfServiceSince(sql, tenant, nowMs - dayMs);
  if (times.length < selfServiceUnbansPerDay) return;
  const waitMs = Math.max(1000, (times[0] ?? nowMs) + dayMs - nowMs);
  throw new LimitError(
    `tenant ${tenant} has lifted ${times.length} bans by itself within a day, and ${selfServiceUnbansPerDay} is the most; ` +
      `ask the fleet's support, or try again in ${formatDurationMs(waitMs)}`,
    waitMs,
  );
}
