import { dayMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import type { UnbanReason } from "../../shared/order.ts";
import { addRule, banByHand, type Lifted, unbanById, unbanNet } from "../ingest/admin-acts.ts";
import { banById, listBans, type BanView as StoredBan } from "../store/bans.ts";
import { receiptOf } from "../store/hosts.ts";
import { revisionOf } from "../store/orders.ts";
import type { BanView, Desk, Principal, UnbanReceipt } from "./desk.ts";
import { actOf, type DeskParts, pageOf, readCursor, showBan } from "./desk-parts.ts";
import { mayChange, readScope } from "./scopes.ts";

/** What a tenant's own unban of a fleet ban gives: a day for its hosts, while the desk looks into it. */
const tenantExceptionMs = dayMs;

/** Bans as people see, make and lift them. */
export function banDesk(parts: DeskParts): Pick<Desk, "bans" | "ban" | "unban" | "unbanNet" | "receipt"> {
  const { store, writer, directory, now } = parts;

  async function receiptFor(asker: Principal, ban: StoredBan): Promise<UnbanReceipt> {
    const revision = ban.endRevision ?? ban.startRevision;
    const receipt = await receiptOf(store, ban.scope, revision, parts.orderEpoch, asker.tenant);
    return { net: ban.net, lifted: ban.endedMs === null ? [] : [ban.id], ...receipt };
  }

  async function receiptsOf(asker: Principal, lifted: Lifted): Promise<UnbanReceipt> {
    const each = await Promise.all(lifted.bans.map((ban) => receiptFor(asker, ban)));
    const waiting = new Set([...each.flatMap((receipt) => receipt.waiting), ...lifted.hosts]);
    const total = Math.max(lifted.hosts.length, ...each.map((receipt) => receipt.total), 0);
    return {
      net: lifted.net,
      lifted: lifted.bans.map((ban) => ban.id),
      applied: Math.min(total - lifted.hosts.length, ...each.map((receipt) => receipt.applied)),
      total,
      waiting: [...waiting].toSorted(),
    };
  }

  /** A fleet ban is not a tenant's to lift: its own hosts get an exception, the others stay protected. */
  async function exceptFleetBan(asker: Principal, ban: StoredBan, reason: string): Promise<UnbanReceipt> {
    const rule = {
      kind: "allow",
      net: ban.net,
      tenant: asker.tenant,
      reason,
      untilMs: now() + tenantExceptionMs,
    } as const;
    await addRule(writer, actOf(asker, reason), rule);
    const scope = `tenant:${asker.tenant}` as const;
    const receipt = await receiptOf(store, scope, await revisionOf(store, scope), parts.orderEpoch, asker.tenant);
    return { net: ban.net, lifted: [], ...receipt };
  }

  async function visibleBan(asker: Principal, id: number): Promise<StoredBan> {
    const ban = await banById(store, id);
    if (ban === undefined || (ban.scope !== "fleet" && !mayChange(asker, directory, ban.scope))) {
      throw new Fleet2banError("not_found", `there is no ban ${id}`);
    }
    return ban;
  }

  async function dryBan(
    asker: Principal,
    request: Readonly<{
      net: string;
      scope: StoredBan["scope"];
      banTimeMs: number | null;
      ports: readonly number[] | null;
      reason: string;
    }>,
  ): Promise<BanView> {
    const why = await writer.ask((judge) => judge.whyRefused(request.net, request.scope));
    if (why !== undefined) throw new Fleet2banError("conflict", why);
    const startedMs = now();
    const { net, ports, banTimeMs } = request;
    return {
      id: 0,
      net,
      scope: directory.showScope(request.scope),
      level: null,
      ports,
      reason: "admin",
      by: asker.name,
      startedMs,
      untilMs: banTimeMs === null ? null : startedMs + banTimeMs,
      endedMs: null,
      endReason: null,
      note: request.reason,
      evidence: { hosts: 0, tenants: 0, failures: 0 },
    };
  }

  return {
    async bans(asker, { cursor, limit, scope, ...filter }) {
      const known =
        scope === undefined
          ? undefined
          : readScope({ ...asker, tenant: scope === "fleet" ? null : asker.tenant }, directory, scope);
      const before = cursor === undefined ? undefined : readCursor(cursor);
      const active = filter.active === true ? true : undefined;
      const rows = await listBans(
        store,
        { ...filter, active, scope: known, before, tenant: asker.tenant ?? undefined },
        limit + 1,
      );
      return pageOf(
        rows,
        limit,
        (row) => String(row.id),
        (row) => showBan(directory, row),
      );
    },
    async ban(asker, { dryRun, reason, scope: scopeText, ...request }) {
      const scope = readScope(asker, directory, scopeText);
      if (dryRun) return await dryBan(asker, { ...request, scope, reason });
      return showBan(directory, await banByHand(writer, actOf(asker, reason), { ...request, scope }));
    },
    async unban(asker, id, reason) {
      const ban = await visibleBan(asker, id);
      if (!mayChange(asker, directory, ban.scope)) return await exceptFleetBan(asker, ban, reason);
      return await receiptsOf(asker, await unbanById(writer, actOf(asker, reason), id, reasonOf(reason)));
    },
    async unbanNet(asker, net, reason) {
      const request = { net, reason: reasonOf(reason), tenant: asker.tenant };
      return await receiptsOf(asker, await unbanNet(writer, actOf(asker, reason), request));
    },
    async receipt(asker, id) {
      return await receiptFor(asker, await visibleBan(asker, id));
    },
  };
}

/** `false-positive` has a meaning of its own: the ladder forgets the ban. Anything else is an admin's note. */
function reasonOf(text: string): UnbanReason {
  return text === "false-positive" ? "false-positive" : "admin";
}
