import { dayMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import {
  type ApprovalRow,
  closeApproval,
  countWaiting,
  findApproval,
  insertApproval,
  type NewApproval,
} from "../store/approvals.ts";
import { plainText } from "../store/plain-text.ts";
import { type Act, canonical, writeAudit } from "./act.ts";
import { addRuleInTurn, banInTurn, tenantOf } from "./admin-acts.ts";
import type { JudgeWriter, Turn } from "./judge-writer.ts";

/** Whoever was asked has seen it within a week, or the reason is gone. */
export const approvalMs = 7 * dayMs;
/** More than somebody will ever read; an asker gone mad stops here. */
const waitingMax = 200;

/** Who asks or decides. */
export type Hand = Readonly<{ token: number; name: string }>;
export type Asked = Pick<NewApproval, "kind" | "net" | "scope" | "spanMs" | "ports" | "why" | "reason">;

/** Writes down what one admin wants and may not do alone. Nothing holds yet. */
export async function askApproval(writer: JudgeWriter, act: Act, asker: Hand, asked: Asked): Promise<ApprovalRow> {
  const { result } = await writer.turn(act, async (turn) => {
    if ((await countWaiting(turn.sql, turn.nowMs)) >= waitingMax) {
      throw new Fleet2banError("conflict", `${waitingMax} requests wait for a second admin already; decide some first`);
    }
    const row = await insertApproval(turn.sql, {
      ...asked,
      net: canonical(asked.net),
      reason: plainText(asked.reason),
      ...{ askedBy: asker.name, askedToken: asker.token, askedMs: turn.nowMs, untilMs: turn.nowMs + approvalMs },
    });
    const { id, kind, net, scope, spanMs, ports } = row;
    await writeAudit(turn, act, `ask to ${kind}`, net, {
      tenant: tenantOf(scope),
      after: { approval: id, scope, spanMs, ports },
    });
    return row;
  });
  return result;
}

/**
 * Does what was asked for, if it still may be done; the lists and the brake of all bans hold here, too.
 *
 * @throws Fleet2banError `forbidden` to whoever asked for it, `conflict` when it is decided, or forbidden by now
 */
export async function approve(writer: JudgeWriter, act: Act, approver: Hand, id: number): Promise<ApprovalRow> {
  const asked = await writer.read((sql) => findApproval(sql, id, 0));
  if (asked === undefined) throw new Fleet2banError("not_found", `there is no request ${id}`);
  // What comes of it carries both names, and the words of whoever wanted it.
  const both = { ...act, by: `${asked.askedBy}, approved by ${approver.name}`, note: asked.reason };
  const { result } = await writer.turn(both, async (turn) => {
    const waiting = await takeWaiting(turn, id);
    if (waiting.askedToken === approver.token || waiting.askedBy === approver.name) {
      throw new Fleet2banError("forbidden", `you asked for ${id} yourself; a second admin must approve it`);
    }
    const { net, scope, spanMs, ports, reason } = waiting;
    const untilMs = spanMs === null ? null : turn.nowMs + spanMs;
    const madeId =
      waiting.kind === "ban"
        ? await banInTurn(turn, both, { net, scope, banTimeMs: spanMs, ports }, true)
        : (await addRuleInTurn(turn, both, { kind: "allow", net, tenant: null, reason, untilMs })).id;
    return await close(turn, act, waiting, { state: "approved", by: approver.name, madeId });
  });
  return result;
}

export async function reject(writer: JudgeWriter, act: Act, hand: Hand, id: number): Promise<ApprovalRow> {
  const { result } = await writer.turn(act, async (turn) => {
    const waiting = await takeWaiting(turn, id);
    return await close(turn, act, waiting, { state: "rejected", by: hand.name, madeId: null });
  });
  return result;
}

async function takeWaiting(turn: Turn, id: number): Promise<ApprovalRow> {
  const row = await findApproval(turn.sql, id, turn.nowMs, true);
  if (row === undefined) throw new Fleet2banError("not_found", `there is no request ${id}`);
  if (row.state === "waiting") return row;
  const how = row.decidedBy === null ? row.state : `${row.state} by ${row.decidedBy}`;
  throw new Fleet2banError("conflict", `request ${id} does not wait any more: ${how}`);
}

async function close(
  turn: Turn,
  act: Act,
  { id, kind, net, scope, askedBy }: ApprovalRow,
  decided: Readonly<{ state: "approved" | "rejected"; by: string; madeId: number | null }>,
): Promise<ApprovalRow> {
  const note = act.note === null ? null : plainText(act.note);
  await closeApproval(turn.sql, id, { ...decided, atMs: turn.nowMs, note });
  const verb = decided.state === "approved" ? "approve" : "reject";
  await writeAudit(turn, act, `${verb} ${kind}`, net, {
    tenant: tenantOf(scope),
    before: { approval: id, askedBy },
    after: { state: decided.state, id: decided.madeId },
  });
  const row = await findApproval(turn.sql, id, turn.nowMs);
  if (row === undefined) throw new Fleet2banError("internal", `request ${id}: not found after it was decided`);
  return row;
}
