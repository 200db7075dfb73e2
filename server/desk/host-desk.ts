import { secondMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { addTenant } from "../ingest/admin-acts.ts";
import { changeHost, changeTenant, revokeHost } from "../ingest/fleet-acts.ts";
import { StaleError } from "../refusals.ts";
import { findHost, type HostRecord, hostState, listHostsBy } from "../store/hosts.ts";
import { revisionOf } from "../store/orders.ts";
import { findTenant, listTenants, type TenantView as StoredTenant, tenantState } from "../store/tenants.ts";
import type { Desk, HostView, Principal, TenantView } from "./desk.ts";
import { actOf, type DeskParts, etagOf, pageOf, requireFleet, requireTenant, seenBy } from "./desk-parts.ts";
import type { HostChange } from "./desk-views.ts";
import { requireRole } from "./guard.ts";

/** Agents report every minute; one that missed two reports is away, whatever its connection looks like. */
export const seenWithinMs = 150 * secondMs;

type HostVerbs = "hosts" | "host" | "changeHost" | "revokeHost" | "tenants" | "addTenant" | "changeTenant";

/** Hosts and the tenants that own them. */
export function hostDesk(parts: DeskParts): Pick<Desk, HostVerbs> {
  const { store, writer, directory } = parts;

  const show = async (row: HostRecord): Promise<HostView> =>
    showHost(row, await revisionOf(store, "fleet"), parts, parts.now());

  async function visibleHost(asker: Principal, host: string): Promise<HostRecord> {
    const row = await findHost(store, host);
    if (row === undefined || (asker.tenant !== null && row.tenant !== asker.tenant)) {
      throw new Fleet2banError("not_found", `there is no host ${host}`);
    }
    return row;
  }

  return {
    async hosts(asker, { cursor, limit, troubled, tenant, ...filter }) {
      requireTenant(asker, tenant ?? asker.tenant);
      const fleetRevision = await revisionOf(store, "fleet");
      const nowMs = parts.now();
      const trouble = { seenSinceMs: nowMs - seenWithinMs, orderEpoch: parts.orderEpoch, fleetRevision };
      const rows = await listHostsBy(
        store,
        {
          ...filter,
          tenant: asker.tenant ?? tenant,
          troubled: troubled === true ? trouble : undefined,
          after: cursor,
        },
        limit + 1,
      );
      return pageOf(
        rows,
        limit,
        (row) => row.host,
        (row) => showHost(row, fleetRevision, parts, nowMs),
      );
    },
    host: async (asker, host) => await show(await visibleHost(asker, host)),
    async changeHost(asker, host, change, options) {
      checkChange(asker, change);
      const seen = seenBy(options);
      if (options?.dryRun === true) {
        const before = await visibleHost(asker, host);
        if (!seen(hostState(before))) throw new StaleError(`host ${host}`);
        return await show(changed(before, change));
      }
      const target = { host, owner: asker.tenant, seen };
      const after = await changeHost(writer, actOf(asker, options?.reason ?? null), target, change);
      directory.put(after);
      if (change.observe !== undefined) parts.hostActs?.tell(host);
      if (after.movedMs !== null) await parts.hostActs?.move(host, after.movedMs);
      return await show(after);
    },
    async revokeHost(asker, host, options) {
      const seen = seenBy(options);
      if (options?.dryRun === true) return await show({ ...(await visibleHost(asker, host)), state: "revoked" });
      const target = { host, owner: asker.tenant, seen };
      const after = await revokeHost(writer, actOf(asker, options?.reason ?? null), target);
      directory.put(after);
      directory.setConnected(host, false);
      await parts.hostActs?.revoke(after.publicKey);
      return await show(after);
    },
    tenants: async (asker) => (await listTenants(store, asker.tenant)).map(showTenant),
    async addTenant(asker, request, options) {
      requireFleet(asker, "adding a tenant");
      if (options?.dryRun === true) {
        if ((await findTenant(store, request.name)) !== undefined) {
          throw new Fleet2banError("conflict", `tenant: "${request.name}" exists already`);
        }
        return showTenant({ ...request, createdMs: parts.now(), quarantined: false, hosts: 0 });
      }
      await addTenant(writer, actOf(asker, options?.reason ?? null), request);
      return showTenant(await tenantNamed(parts, request.name));
    },
    async changeTenant(asker, name, change, options) {
      requireFleet(asker, "changing a tenant");
      const seen = seenBy(options);
      if (options?.dryRun === true) {
        const before = await tenantNamed(parts, name);
        if (!seen(tenantState(before))) throw new StaleError(`tenant ${name}`);
        const { trust = before.trust, quarantined = before.quarantined } = change;
        return showTenant({ ...before, trust, quarantined });
      }
      return showTenant(await changeTenant(writer, actOf(asker, options?.reason ?? null), { name, seen }, change));
    },
  };
}

/** A tenant labels its hosts and says whether they take part; quarantine and owner are the fleet's to decide. */
function checkChange(asker: Principal, change: HostChange): void {
  if (change.quarantined !== undefined) requireFleet(asker, "quarantine");
  if (change.tenant === undefined) return;
  requireFleet(asker, "moving a host");
  requireRole(asker, "admin");
}

function changed(before: HostRecord, { quarantined, ...change }: HostChange): HostRecord {
  const named = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  const state = quarantined === undefined ? before.state : quarantined ? "quarantined" : "active";
  return { ...before, ...named, state };
}

async function tenantNamed({ store }: DeskParts, name: string): Promise<StoredTenant> {
  const found = await findTenant(store, name);
  if (found === undefined) throw new Fleet2banError("not_found", `there is no tenant ${name}`);
  return found;
}

function showTenant({ name, trust, createdMs, hosts, quarantined }: StoredTenant): TenantView {
  return { name, trust, createdMs, hosts, quarantined, etag: etagOf(tenantState({ trust, quarantined })) };
}

function showHost(
  row: HostRecord,
  fleetRevision: number,
  { directory, orderEpoch }: DeskParts,
  nowMs: number,
): HostView {
  const seen = row.lastSeenMs !== null && nowMs - row.lastSeenMs <= seenWithinMs;
  const behind = row.orderEpoch !== orderEpoch ? null : Math.max(0, fleetRevision - (row.fleetRevision ?? 0));
  const { host, tenant, label, state, observe, contribute, enrolledMs, lastSeenMs } = row;
  const { version, firewall, enforcing, clockSkewMs, problems, blocked } = row;
  return {
    ...{ host, tenant, label, state, observe, contribute, enrolledMs, lastSeenMs },
    ...{ version, firewall, enforcing, clockSkewMs, problems, behind, blocked },
    connected: seen && directory.isConnected(host),
    etag: etagOf(hostState(row)),
  };
}
