import type { Order, Scope } from "../../shared/order.ts";
import type { BanDecision, Decision, QuarantineDecision, StoppedDecision, UnbanDecision } from "../domain/judge.ts";
import { type Author, banOrder, endBans, insertBans, insertStopped, markMistakes, type Placed } from "../store/bans.ts";
import { exceptFromFeeds } from "../store/feed-entries.ts";
import { endLocalBans } from "../store/local-bans.ts";
import { appendOrders, type OrderStretch } from "../store/orders.ts";
import { plainText } from "../store/plain-text.ts";
import type { Sql } from "../store/sql.ts";
import { setQuarantine } from "../store/tenants.ts";

/** What a turn leads to, in the order it happened: the judge's decisions, and orders no decision stands for. */
export type Step = Readonly<{ kind: "decision"; decision: Decision }> | ScopedOrder;
type ScopedOrder = Readonly<{ kind: "order"; scope: Scope; order: Order }>;

type Context = Readonly<{ policyVersion: number; author: Author | null; nowMs: number }>;

/** Writes decisions and their orders; every table is touched by one statement, however many decisions there are. */
export async function writeDecisions(
  sql: Sql,
  steps: readonly Step[],
  { policyVersion, author: said, nowMs }: Context,
): Promise<OrderStretch[]> {
  if (steps.length === 0) return [];
  const author = said && { by: said.by, note: said.note === null ? null : plainText(said.note) };
  const bans: BanDecision[] = [];
  const unbans: UnbanDecision[] = [];
  const mistakes: number[] = [];
  const stopped: StoppedDecision[] = [];
  const quarantines: QuarantineDecision[] = [];
  const orders: { scope: Scope; order: Order }[] = [];
  for (const step of steps) {
    if (step.kind === "order") orders.push({ scope: step.scope, order: step.order });
    else if (step.decision.kind === "ban") {
      bans.push(step.decision);
      orders.push({ scope: step.decision.scope, order: banOrder(step.decision) });
    } else if (step.decision.kind === "unban") {
      unbans.push(step.decision);
      orders.push({ scope: step.decision.scope, order: unbanOrder(step.decision) });
    } else if (step.decision.kind === "mistake") mistakes.push(step.decision.id);
    else if (step.decision.kind === "quarantine") quarantines.push(step.decision);
    else stopped.push(step.decision);
  }
  const stretches = await appendOrders(sql, orders, nowMs);
  const placeOf = places(stretches);
  // What was held before is closed by a later ban, so it must be there first.
  await insertStopped(sql, stopped);
  const policy = { by: `policy ${policyVersion}`, note: null };
  await insertBans(sql, bans.map(placeOf), policy, author ?? policy);
  await endBans(sql, unbans.map(placeOf), author);
  await exceptFromFeeds(sql, unbans, author, nowMs);
  await markMistakes(sql, mistakes, author);
  for (const { scope, order } of orders) {
    if (order.kind === "unban" && order.reason !== "expired") {
      await endLocalBans(sql, scope, order.net, order.reason, nowMs);
    }
  }
  for (const { tenant, host, atMs } of quarantines) await setQuarantine(sql, tenant, host, true, atMs);
  return stretches;
}

function unbanOrder({ id, net, reason }: UnbanDecision): Order {
  return { kind: "unban", id, net, reason };
}

/** Finds each ban's and unban's revision in the log it was just written to. */
function places(stretches: readonly OrderStretch[]): <T extends BanDecision | UnbanDecision>(decision: T) => Placed<T> {
  const revisions = new Map<string, number>();
  for (const { from, orders } of stretches) {
    for (const [index, order] of orders.entries()) revisions.set(`${order.kind} ${order.id}`, from + index + 1);
  }
  return (decision) => ({ decision, revision: revisions.get(`${decision.kind} ${decision.id}`) ?? 0 });
}
