import { CidrTable } from "../../shared/cidr-table.ts";
import type { Scope } from "../../shared/order.ts";
import type { Trust } from "./judge.ts";

export type Tenant = {
  readonly name: string;
  /** Place in the order of first mention: a small number for keys. */
  readonly number: number;
  readonly scope: Scope;
  readonly allows: CidrTable<true>;
  trust: Trust;
  createdAtMs: number;
  quarantined: boolean;
};

/** Tenants by name. One never declared is the operator's own: old and fully trusted. */
export class Tenants {
  readonly #byName = new Map<string, Tenant>();

  /** The coordinator declares tenants before their hosts may speak, so names are as many as an admin made. */
  get(name: string): Tenant {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const tenant: Tenant = {
      name,
      number: this.#byName.size,
      scope: `tenant:${name}`,
      allows: new CidrTable(),
      trust: "full",
      createdAtMs: Number.NEGATIVE_INFINITY,
      quarantined: false,
    };
    this.#byName.set(name, tenant);
    return tenant;
  }

  all(): Iterable<Tenant> {
    return this.#byName.values();
  }
}
