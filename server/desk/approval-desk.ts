import { Fleet2banError } from "../../shared/errors.ts";
import { type Asked, approvalMs, approve, askApproval, reject } from "../ingest/approvals.ts";
import { type ApprovalRow, findApproval, listApprovals } from "../store/approvals.ts";
import { type Desk, mayAct, type Principal } from "./desk.ts";
import { actOf, beforeOf, type DeskParts, pageOf } from "./desk-parts.ts";
import type { ApprovalView, WriteOptions } from "./desk-views.ts";
import { requireRole } from "./guard.ts";
import { mayChange } from "./scopes.ts";

/** Four eyes: what is wider than one admin may make it waits here for another one. A tenant sees its own. */
export function approvalDesk(parts: DeskParts): Pick<Desk, "approvals" | "approval" | "approve" | "reject"> {
  const { store, writer, directory, now } = parts;

  async function visible(asker: Principal, id: number): Promise<ApprovalRow> {
    const row = await findApproval(store, id, now());
    if (row === undefined || (asker.tenant !== null && !isTheirs(asker, row))) {
      throw new Fleet2banError("not_found", `there is no request ${id}`);
    }
    return row;
  }
  const isTheirs = (asker: Principal, { scope }: ApprovalRow) =>
    scope !== "fleet" && mayChange(asker, directory, scope);

  return {
    async approvals(asker, { cursor, limit, waiting }) {
      const filter = { waiting, tenant: asker.tenant, before: beforeOf(cursor) };
      const rows = await listApprovals(store, filter, now(), limit + 1);
      return pageOf(
        rows,
        limit,
        (row) => String(row.id),
        (row) => showApproval(parts, asker, row),
      );
    },
    approval: async (asker, id) => showApproval(parts, asker, await visible(asker, id)),
    async approve(asker, id, options) {
      const row = await visible(asker, id);
      if (isAsker(asker, row)) {
        throw new Fleet2banError("forbidden", `you asked for ${id} yourself; a second admin must approve it`);
      }
      if (options?.dryRun === true) return showApproval(parts, asker, row);
      return showApproval(
        parts,
        asker,
        await approve(writer, actOf(asker, options?.reason ?? null), handOf(asker), id),
      );
    },
    async reject(asker, id, options) {
      const row = await visible(asker, id);
      if (!isAsker(asker, row)) requireRole(asker, "admin");
      if (options?.dryRun === true) return showApproval(parts, asker, row);
      return showApproval(parts, asker, await reject(writer, actOf(asker, options?.reason ?? null), handOf(asker), id));
    },
  };
}

/** Writes down what the asker may not do alone; in a dry run only says so. */
export async function waitForSecond(
  parts: DeskParts,
  asker: Principal,
  asked: Asked,
  options: Pick<WriteOptions, "dryRun"> | undefined,
): Promise<Readonly<{ kind: "waits"; approval: ApprovalView }>> {
  if (options?.dryRun !== true) {
    const row = await askApproval(parts.writer, actOf(asker, asked.reason), handOf(asker), asked);
    return { kind: "waits", approval: showApproval(parts, asker, row) };
  }
  const askedMs = parts.now();
  const row: ApprovalRow = {
    ...{ ...asked, id: 0, askedBy: asker.name, askedToken: asker.tokenId, askedMs, untilMs: askedMs + approvalMs },
    ...{ state: "waiting", decidedBy: null, decidedMs: null, decidedNote: null, madeId: null },
  };
  return { kind: "waits", approval: showApproval(parts, asker, row) };
}

const handOf = ({ tokenId: token, name }: Principal) => ({ token, name });
/** Two tokens of one name are taken for one person. */
const isAsker = (asker: Principal, row: ApprovalRow) => row.askedToken === asker.tokenId || row.askedBy === asker.name;

function showApproval({ directory }: DeskParts, asker: Principal, row: ApprovalRow): ApprovalView {
  const { askedToken: _, scope, ...shown } = row;
  const mayApprove = row.state === "waiting" && mayAct(asker, "admin") && !isAsker(asker, row);
  return { ...shown, scope: directory.showScope(scope), mayApprove };
}
