import type { Scope } from "../../shared/order.ts";
import { subjects } from "../../shared/subjects.ts";

/** Where everybody who obeys this scope listens. */
export function subjectOf(scope: Scope): string {
  if (scope === "fleet") return subjects.fleetOrders;
  const name = scope.slice(scope.indexOf(":") + 1);
  return scope.startsWith("tenant:") ? subjects.tenantOrders(name) : subjects.down(name, "orders");
}
