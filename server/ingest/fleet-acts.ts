import { Fleet2banError } from "../../shared/errors.ts";
import type { Trust } from "../domain/judge.ts";
import { StaleError } from "../refusals.ts";
import { findHost, type HostRecord, hostState, setHostState, setHostTenant } from "../store/hosts.ts";
import { findTenant, setQuarantine, setTrust, type TenantView, tenantExists, tenantState } from "../store/tenants.ts";
import { type Act, writeAudit } from "./act.ts";
import type { JudgeWriter, Turn } from "./judge-writer.ts";

/** What is not named stays as it is. */
export type HostChange = Readonly<{
  quarantined?: boolean | undefined;
  observe?: boolean | undefined;
  contribute?: boolean | undefined;
  label?: string | null | undefined;
  tenant?: string | undefined;
}>;

/** What was there must be what the asker saw. */
type Seen<State> = (state: State) => boolean;

/**
 * Changes a host. Moving it to another tenant leaves its history with the old one.
 *
 * @param owner  the only tenant whose host it may be; null = any
 * @throws Fleet2banError `not_found`, `conflict` for a revoked one, StaleError
 */
export async function changeHost(
  writer: JudgeWriter,
  act: Act,
  target: Readonly<{ host: string; owner: string | null; seen: Seen<ReturnType<typeof hostState>> }>,
  change: HostChange,
): Promise<HostRecord> {
  const { result } = await writer.turn(act, async (turn) => {
    const before = await hostToChange(turn, target);
    const { host, tenant } = before;
    const { quarantined, tenant: nextTenant, ...rest } = change;
    if (Object.values(rest).some((value) => value !== undefined)) await setHostState(turn.sql, host, rest);
    if (quarantined !== undefined && quarantined !== (before.state === "quarantined")) {
      await setQuarantine(turn.sql, tenant, host, quarantined, turn.nowMs);
      turn.apply({ kind: "quarantine", tenant, host, on: quarantined });
    }
    if (nextTenant !== undefined && nextTenant !== tenant) {
      if (!(await tenantExists(turn.sql, nextTenant))) {
        throw new Fleet2banError("not_found", `tenant: there is no tenant ${nextTenant}; add it first`);
      }
      await setHostTenant(turn.sql, host, nextTenant, turn.nowMs);
      // The judge knows a host by its tenant and name.
      turn.renew();
    }
    const after = await hostToChange(turn, { host, owner: null, seen: () => true });
    await writeAudit(turn, act, "change host", `${tenant}/${host}`, {
      // Where a host goes is not for the tenant it leaves to read.
      tenant: after.tenant === tenant ? tenant : null,
      before: hostState(before),
      after: hostState(after),
    });
    return after;
  });
  return result;
}

/** The host's key is worth nothing from now on; the caller tells the bus. */
export async function revokeHost(
  writer: JudgeWriter,
  act: Act,
  target: Readonly<{ host: string; owner: string | null; seen: Seen<ReturnType<typeof hostState>> }>,
): Promise<HostRecord> {
  const { result } = await writer.turn(act, async (turn) => {
    const before = await hostToChange(turn, target);
    const after = await setHostState(turn.sql, before.host, { state: "revoked" });
    const { tenant, host } = before;
    await writeAudit(turn, act, "revoke host", `${tenant}/${host}`, {
      tenant,
      before: hostState(before),
      after: hostState(after),
    });
    return after;
  });
  return result;
}

async function hostToChange(
  turn: Turn,
  { host, owner, seen }: Readonly<{ host: string; owner: string | null; seen: Seen<ReturnType<typeof hostState>> }>,
): Promise<HostRecord> {
  const found = await findHost(turn.sql, host);
  if (found === undefined || (owner !== null && found.tenant !== owner)) {
    throw new Fleet2banError("not_found", `there is no host ${host}`);
  }
  if (!seen(hostState(found))) throw new StaleError(`host ${host}`);
  if (found.state === "revoked") throw new Fleet2banError("conflict", `host ${host} is revoked; enrol it anew`);
  return found;
}

export async function changeTenant(
  writer: JudgeWriter,
  act: Act,
  target: Readonly<{ name: string; seen: Seen<ReturnType<typeof tenantState>> }>,
  change: Readonly<{ trust?: Trust | undefined; quarantined?: boolean | undefined }>,
): Promise<TenantView> {
  const { name, seen } = target;
  const { result } = await writer.turn(act, async (turn) => {
    const before = await tenantNamed(turn, name);
    if (!seen(tenantState(before))) throw new StaleError(`tenant ${name}`);
    const { trust, quarantined } = change;
    if (trust !== undefined && trust !== before.trust) {
      await setTrust(turn.sql, name, trust);
      turn.apply({ kind: "tenant", tenant: name, trust, createdAtMs: before.createdMs });
    }
    if (quarantined !== undefined && quarantined !== before.quarantined) {
      await setQuarantine(turn.sql, name, null, quarantined, turn.nowMs);
      turn.apply({ kind: "quarantine", tenant: name, host: null, on: quarantined });
    }
    const after = await tenantNamed(turn, name);
    const states = { before: tenantState(before), after: tenantState(after) };
    await writeAudit(turn, act, "change tenant", name, { tenant: name, ...states });
    return after;
  });
  return result;
}

async function tenantNamed(turn: Turn, name: string): Promise<TenantView> {
  const found = await findTenant(turn.sql, name);
  if (found === undefined) throw new Fleet2banError("not_found", `there is no tenant ${name}`);
  return found;
}
