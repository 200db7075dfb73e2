import type { EnrollmentStore } from "../bus/enrollment.ts";
import { findHost, findHostByKey, insertHost } from "../store/hosts.ts";
import type { Store } from "../store/open-store.ts";
import type { Sql } from "../store/sql.ts";
import { findEnrollmentToken, useEnrollmentToken } from "../store/tokens.ts";
import type { HostDirectory } from "./host-directory.ts";

/** Enrolment as the bus asks for it: one transaction, and the directory knows of it before the host can speak. */
export function enrollmentStore(store: Store, directory: HostDirectory): EnrollmentStore {
  return {
    async enrol({ tokenId, publicKey, names }, nowMs) {
      const result = await store.transaction(async (sql) => {
        const right = await findEnrollmentToken(sql, tokenId, nowMs);
        if (right === undefined) return refused("this token is unknown or has ended; ask for a new one");
        const known = await findHostByKey(sql, publicKey);
        if (known !== undefined) {
          return known.state === "revoked"
            ? refused("this host's key is revoked")
            : { kind: "enrolled" as const, row: known };
        }
        const name = await firstFree(sql, right.host === null ? names : [right.host]);
        if (name === undefined)
          return refused(`the name ${right.host ?? names[0]} is taken; revoke that host first or choose another`);
        if ((await useEnrollmentToken(sql, tokenId, nowMs)) === undefined) {
          return refused("this token has been used up; ask for a new one");
        }
        const row = await insertHost(sql, { host: name, tenant: right.tenant, publicKey, nowMs });
        return { kind: "enrolled" as const, row };
      });
      if (result.kind === "refused") return result;
      directory.put(result.row);
      return { kind: "enrolled", host: result.row.host, tenant: result.row.tenant };
    },
    async identityOf(host) {
      const row = await findHost(store, host);
      return row === undefined || row.state === "revoked"
        ? undefined
        : { publicKey: row.publicKey, tenant: row.tenant, sinceMs: row.movedMs ?? row.credentialsSinceMs };
    },
  };
}

function refused(why: string) {
  return { kind: "refused" as const, why };
}

async function firstFree(sql: Sql, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if ((await findHost(sql, name)) === undefined) return name;
  return undefined;
}
