import { Fleet2banError } from "../../shared/errors.ts";
import { parseScope, type Scope } from "../../shared/order.ts";
import type { HostDirectory } from "../hosts/host-directory.ts";
import type { Principal } from "./desk.ts";

/** What a scope belongs to: a tenant, or null for the whole fleet. */
export function tenantOfScope(directory: HostDirectory, scope: Scope): string | null {
  if (scope === "fleet") return null;
  const name = scope.slice(scope.indexOf(":") + 1);
  return scope.startsWith("tenant:") ? name : (directory.get(name)?.tenant ?? "");
}

/** Whether the principal may change what holds in this scope. */
export function mayChange(principal: Principal, directory: HostDirectory, scope: Scope): boolean {
  return principal.tenant === null || tenantOfScope(directory, scope) === principal.tenant;
}

/**
 * Reads a scope from a request and checks that it names something that exists and that is the asker's.
 *
 * @throws Fleet2banError `invalid`, `not_found` or `forbidden`
 */
export function readScope(principal: Principal, directory: HostDirectory, text: string): Scope {
  const scope = parseScope(text);
  if (scope === undefined) throw new Fleet2banError("invalid", "scope: must be fleet, tenant:NAME or host:TENANT/HOST");
  if (scope.startsWith("host:")) {
    const known = directory.get(scope.slice("host:".length));
    if (known === undefined || (text.includes("/") && directory.showScope(scope) !== text)) {
      throw new Fleet2banError("not_found", `scope: there is no host ${text.slice("host:".length)}`);
    }
  }
  if (mayChange(principal, directory, scope)) return scope;
  throw new Fleet2banError(
    "forbidden",
    `scope: your token is for tenant ${principal.tenant}; use tenant:${principal.tenant}`,
  );
}
