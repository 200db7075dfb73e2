import { hourMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { decideHeldById } from "../ingest/admin-acts.ts";
import { checkAudit, listAudit } from "../store/audit.ts";
import { listFailures, readFailurePlace, writeFailurePlace } from "../store/failure-lists.ts";
import { recentFailures } from "../store/failures.ts";
import { receiptOf } from "../store/hosts.ts";
import { findHeld, type HeldRow, type IncidentPlace, listHeld, listIncidents } from "../store/incidents.ts";
import { orderedAt } from "../store/orders.ts";
import type { Desk, FailureView } from "./desk.ts";
import { actOf, badCursor, beforeOf, type DeskParts, pageOf, requireFleet, requireTenant } from "./desk-parts.ts";
import type { HeldView } from "./log-views.ts";
import { mayChange } from "./scopes.ts";
import { showEvidence } from "./show-ban.ts";

type LogVerbs =
  | "failures"
  | "recentFailures"
  | "incidents"
  | "held"
  | "decideHeld"
  | "audit"
  | "auditReach"
  | "verifyAudit";

/** What happened: failures, what came of them, and what people did. */
export function logDesk(parts: DeskParts): Pick<Desk, LogVerbs> {
  const { store, writer, directory, now } = parts;
  const showHeld = (row: HeldRow): HeldView => {
    const { id, atMs, net, why, reason, ports } = row;
    const { hosts, tenants, failures } = row.evidence;
    return {
      ...{ id, atMs, net, why, reason, ports },
      scope: directory.showScope(row.scope),
      evidence: { hosts, tenants, failures },
    };
  };
  return {
    async failures(asker, { cursor, limit, withinMs = hourMs, tenant, ...filter }) {
      requireTenant(asker, tenant ?? asker.tenant);
      const after = cursor === undefined ? undefined : readFailurePlace(cursor);
      const own = { ...filter, tenant: asker.tenant ?? tenant, sinceMs: now() - withinMs, after };
      return pageOf(await listFailures(store, own, limit + 1), limit, writeFailurePlace, showFailure);
    },
    recentFailures: (asker, limit) => recentFailures(store, asker.tenant, limit, now()),
    async incidents(asker, { cursor, limit }) {
      const after = cursor === undefined ? null : readPlace(cursor);
      const rows = await listIncidents(store, asker.tenant, after, limit + 1);
      return pageOf(
        rows,
        limit,
        ({ atMs, source, id }) => `${atMs}-${source}-${id}`,
        ({ source, id, scope, ...row }) => ({
          ...row,
          scope: directory.showScope(scope),
          banId: source === "ban" ? id : null,
          evidence: showEvidence(asker, { scope, evidence: row.evidence }),
        }),
      );
    },
    async held(asker, { cursor, limit }) {
      requireFleet(asker, "what the brake holds");
      return pageOf(await listHeld(store, beforeOf(cursor), limit + 1), limit, (row) => String(row.id), showHeld);
    },
    async decideHeld(asker, id, verb, options) {
      requireFleet(asker, "what the brake holds");
      if (options?.dryRun !== true) {
        return showHeld(await decideHeldById(writer, actOf(asker, options?.reason ?? null), verb, id));
      }
      const held = await findHeld(store, id);
      if (held === undefined) throw new Fleet2banError("not_found", `no ban is held under ${id}`);
      return showHeld(held);
    },
    async audit(asker, { cursor, limit, ...filter }) {
      const own = { ...filter, tenant: asker.tenant ?? undefined };
      const rows = await listAudit(store, beforeOf(cursor), limit + 1, own);
      return pageOf(
        rows,
        limit,
        (row) => String(row.sequence),
        ({ sequence, atMs, actor, action, target, detail, hash }) => ({
          ...{ sequence, atMs, actor, action, target, detail, hash },
        }),
      );
    },
    async auditReach(asker, sequence) {
      const [entry] = await listAudit(store, sequence + 1, 1, { tenant: asker.tenant ?? undefined });
      if (entry?.sequence !== sequence) throw new Fleet2banError("not_found", `there is no entry ${sequence}`);
      const ordered = await orderedAt(store, entry.atMs);
      const seen = ordered.filter(({ scope }) => scope === "fleet" || mayChange(asker, directory, scope));
      const scopes = await Promise.all(
        seen.map(async ({ scope, revision }) => {
          const receipt = await receiptOf(store, [{ scope, revision }], parts.orderEpoch, asker.tenant);
          const { applied, total, waiting } = receipt;
          return { scope: directory.showScope(scope), applied, total, waiting };
        }),
      );
      return { sequence, scopes };
    },
    async verifyAudit(asker) {
      requireFleet(asker, "the whole audit log");
      return await checkAudit(store);
    },
  };
}

function showFailure({ atMs, tenant, host, jail, address, count, weight, sample }: FailureView): FailureView {
  return { atMs, tenant, host, jail, address, count, weight, sample };
}

function readPlace(text: string): IncidentPlace {
  const [, atMs, source, id] = /^(\d{1,15})-(ban|stopped)-(\d{1,15})$/.exec(text) ?? [];
  if (atMs === undefined) throw badCursor();
  return { atMs: Number(atMs), source: source === "ban" ? "ban" : "stopped", id: Number(id) };
}
