import { Fleet2banError } from "../../shared/errors.ts";
import { writeAudit } from "../ingest/act.ts";
import type { Sql } from "../store/sql.ts";
import {
  type EnrollmentTokenRow,
  findApiToken,
  insertApiToken,
  listApiTokens,
  listEnrollmentTokens,
  revokeApiToken,
  revokeEnrollmentToken,
} from "../store/tokens.ts";
import type { Desk, EnrollmentRequest, Principal } from "./desk.ts";
import { actOf, beforeOf, type DeskParts, pageOf, requireTenant } from "./desk-parts.ts";
import type { EnrollmentTokenView, WriteOptions } from "./desk-views.ts";
import { requireRole } from "./guard.ts";

type TokenVerbs =
  | "addEnrollmentToken"
  | "enrollmentTokens"
  | "revokeEnrollmentToken"
  | "apiTokens"
  | "addApiToken"
  | "revokeApiToken"
  | "principalOf";

/** What lets hosts into the fleet and people to the desk. */
export function tokenDesk(parts: DeskParts): Pick<Desk, TokenVerbs> {
  const { store, now } = parts;

  /** A token and its entry in the audit log: both or neither. */
  const write = <T>(
    asker: Principal,
    action: string,
    options: WriteOptions | undefined,
    work: (sql: Sql) => Promise<Readonly<{ made: T; target: string; tenant: string | null; change: object }>>,
  ): Promise<T> =>
    store.transaction(async (sql) => {
      const { made, target, tenant, change } = await work(sql);
      const act = actOf(asker, options?.reason ?? null);
      await writeAudit({ sql, nowMs: now() }, act, action, target, { tenant, ...change });
      return made;
    });

  return {
    async addEnrollmentToken(asker, request, options) {
      checkEnrollment(asker, request);
      const { tenant, uses, host } = request;
      const untilMs = now() + request.durationMs;
      if (options?.dryRun === true) return { token: "", tenant, uses, untilMs };
      const made = await parts.enroll(request, asker.name);
      const change = { after: { host, uses, untilMs: made.untilMs } };
      return await write(asker, "add enrolment token", options, async () => ({ made, target: tenant, tenant, change }));
    },
    async enrollmentTokens(asker, { cursor, limit }) {
      const rows = await listEnrollmentTokens(store, asker.tenant, beforeOf(cursor), limit + 1);
      return pageOf(
        rows,
        limit,
        (row) => String(row.id),
        (row) => showEnrollment(row, now()),
      );
    },
    async revokeEnrollmentToken(asker, id, options) {
      const [known] = await listEnrollmentTokens(store, asker.tenant, id + 1, 1);
      if (known?.id !== id) throw new Fleet2banError("not_found", `there is no enrolment token ${id}`);
      if (options?.dryRun === true) return;
      await write(asker, "revoke enrolment token", options, async (sql) => {
        await revokeEnrollmentToken(sql, id, asker.tenant);
        const change = { before: { usesLeft: known.usesLeft, untilMs: known.untilMs } };
        return { made: undefined, target: String(id), tenant: known.tenant, change };
      });
    },
    apiTokens: (asker) => listApiTokens(store, asker.tenant),
    async addApiToken(asker, { durationMs, ...request }, options) {
      requireTenant(asker, request.tenant);
      // Nobody hands out more than he has.
      requireRole(asker, request.role);
      const createdMs = now();
      const token = { ...request, createdMs, untilMs: durationMs === null ? null : createdMs + durationMs };
      if (options?.dryRun === true) return { ...token, id: 0, lastUsedMs: null, revokedMs: null, token: "" };
      return await write(asker, "add token", options, async (sql) => {
        const made = await insertApiToken(sql, token);
        const { id, name, role, tenant, untilMs } = made;
        return { made, target: name, tenant, change: { after: { id, name, role, untilMs } } };
      });
    },
    async revokeApiToken(asker, id, options) {
      const known = (await listApiTokens(store, asker.tenant)).find((token) => token.id === id);
      if (known === undefined) throw new Fleet2banError("not_found", `there is no token ${id}`);
      if (options?.dryRun === true) return;
      await write(asker, "revoke token", options, async (sql) => {
        await revokeApiToken(sql, id, now());
        const { name, role, tenant, revokedMs } = known;
        return { made: undefined, target: name, tenant, change: { before: { id, name, role, revokedMs } } };
      });
    },
    async principalOf(token) {
      const found = await findApiToken(store, token, now());
      if (found === undefined) return undefined;
      return { tokenId: found.id, name: found.name, role: found.role, tenant: found.tenant };
    },
  };
}

function checkEnrollment(asker: Principal, request: EnrollmentRequest): void {
  requireTenant(asker, request.tenant);
  if (request.host !== null && request.uses !== 1) {
    throw new Fleet2banError("invalid", "host: a token that names its host can have one use only");
  }
}

function showEnrollment(row: EnrollmentTokenRow, nowMs: number): EnrollmentTokenView {
  const { createdBy: by, ...rest } = row;
  return { ...rest, by, ended: row.usesLeft === 0 || row.untilMs <= nowMs };
}
