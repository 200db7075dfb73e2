import { hourMs, secondMs } from "../../shared/durations.ts";
import { Fleet2banError } from "../../shared/errors.ts";
import { addTenant } from "../ingest/admin-acts.ts";
import { countStanding } from "../store/bans.ts";
import { countFailures, recentFailures } from "../store/failures.ts";
import { countHosts, type HostRecord, hostState, listHosts } from "../store/hosts.ts";
import { revisionOf } from "../store/orders.ts";
import { listTenants, type TenantView as StoredTenant, tenantState } from "../store/tenants.ts";
import { findApiToken, insertApiToken, listApiTokens, revokeApiToken } from "../store/tokens.ts";
import type { Desk, HostView, TenantView } from "./desk.ts";
import { actOf, type DeskParts, etagOf, pageOf } from "./desk-parts.ts";

/** Agents report every minute; one that missed two reports is away, whatever its connection looks like. */
const seenWithinMs = 150 * secondMs;

type FleetVerbs =
  | "status"
  | "hosts"
  | "tenants"
  | "addTenant"
  | "recentFailures"
  | "addEnrollmentToken"
  | "apiTokens"
  | "addApiToken"
  | "revokeApiToken"
  | "principalOf";

/** The fleet itself: hosts, tenants, tokens, and how they are. */
export function fleetDesk(parts: DeskParts): Pick<Desk, FleetVerbs> {
  const { store, writer, now } = parts;
  return {
    async status(asker) {
      const nowMs = now();
      const fleetRevision = await revisionOf(store, "fleet");
      const hosts = await countHosts(store, asker.tenant, nowMs - seenWithinMs, fleetRevision);
      const counts = await countStanding(store, asker.tenant);
      const failuresLastHour = await countFailures(store, asker.tenant, nowMs - hourMs);
      return { version: parts.version, hosts, bans: counts, failuresLastHour, degraded: parts.degraded() };
    },
    async hosts(asker, { cursor, limit }) {
      const fleetRevision = await revisionOf(store, "fleet");
      const rows = await listHosts(store, asker.tenant, cursor ?? null, limit + 1);
      return pageOf(
        rows,
        limit,
        (row) => row.host,
        (row) => showHost(row, fleetRevision, parts, now()),
      );
    },
    tenants: async (asker) => (await listTenants(store, asker.tenant)).map(showTenant),
    async addTenant(asker, request) {
      if (asker.tenant !== null) throw new Fleet2banError("forbidden", "only an admin of the whole fleet adds tenants");
      await addTenant(writer, actOf(asker, null), request);
      const [made] = await listTenants(store, request.name);
      if (made === undefined) throw new Fleet2banError("internal", `tenant ${request.name}: added and not found`);
      return showTenant(made);
    },
    recentFailures: (asker, limit) => recentFailures(store, asker.tenant, limit, now()),
    async addEnrollmentToken(asker, request) {
      if (asker.tenant !== null && request.tenant !== asker.tenant) {
        throw new Fleet2banError("forbidden", `tenant: your token is for tenant ${asker.tenant}`);
      }
      if (request.host !== null && request.uses !== 1) {
        throw new Fleet2banError("invalid", "host: a token that names its host can have one use only");
      }
      return await parts.enroll(request, asker.name);
    },
    apiTokens: (asker) => listApiTokens(store, asker.tenant),
    async addApiToken(asker, { durationMs, ...request }) {
      if (asker.tenant !== null && request.tenant !== asker.tenant) {
        throw new Fleet2banError("forbidden", `tenant: your token is for tenant ${asker.tenant}`);
      }
      const createdMs = now();
      return await insertApiToken(store, {
        ...request,
        createdMs,
        untilMs: durationMs === null ? null : createdMs + durationMs,
      });
    },
    async revokeApiToken(asker, id) {
      const known = (await listApiTokens(store, asker.tenant)).some((token) => token.id === id);
      if (!known) throw new Fleet2banError("not_found", `there is no token ${id}`);
      await revokeApiToken(store, id, now());
    },
    async principalOf(token) {
      const found = await findApiToken(store, token, now());
      if (found === undefined) return undefined;
      return { tokenId: found.id, name: found.name, role: found.role, tenant: found.tenant };
    },
  };
}

function showHost(
  row: HostRecord,
  fleetRevision: number,
  { directory, orderEpoch }: DeskParts,
  nowMs: number,
): HostView {
  const seen = row.lastSeenMs !== null && nowMs - row.lastSeenMs <= seenWithinMs;
  const behind = row.orderEpoch !== orderEpoch ? null : Math.max(0, fleetRevision - (row.fleetRevision ?? 0));
  return {
    host: row.host,
    tenant: row.tenant,
    connected: seen && directory.isConnected(row.host),
    lastSeenMs: row.lastSeenMs,
    version: row.version,
    firewall: row.firewall,
    enforcing: row.enforcing,
    behind,
    clockSkewMs: row.clockSkewMs,
    state: row.state,
    problems: row.problems,
    label: row.label,
    observe: row.observe,
    contribute: row.contribute,
    enrolledMs: row.enrolledMs,
    etag: etagOf(hostState(row)),
  };
}

function showTenant(tenant: StoredTenant): TenantView {
  return { ...tenant, etag: etagOf(tenantState(tenant)) };
}
