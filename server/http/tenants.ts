import { createRoute, z } from "@hono/zod-openapi";
import { Fleet2banError } from "../../shared/errors.ts";
import type { Desk, Principal, TenantView } from "../desk/desk.ts";
import { requireTenant } from "../desk/desk-parts.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import {
  body,
  EditHeaders,
  IdempotencyKey,
  json,
  needs,
  optionsOf,
  problems,
  quoted,
  ReasonedWriteParams,
  stale,
  tagged,
  WriteParams,
} from "./routes.ts";
import { Net, Reason, Receipt, Time, TokenName, timeOf } from "./schemas.ts";
import { showReceipt } from "./views.ts";

export const Tenant = z
  .object({
    name: z.string(),
    trust: z.enum(["full", "vote"]),
    quarantined: z.boolean(),
    created: Time,
    hosts: z.int(),
    etag: z.string(),
  })
  .openapi("Tenant");
const NewTenant = z
  .strictObject({ name: TokenName, trust: z.enum(["full", "vote"]).default("vote") })
  .openapi("NewTenant", { example: { name: "example-shop", trust: "vote" } });
const TenantChange = z
  .strictObject({ trust: z.enum(["full", "vote"]).optional(), quarantined: z.boolean().optional() })
  .refine((change) => Object.values(change).some((value) => value !== undefined), "name what is to change")
  .openapi("TenantChange", { example: { quarantined: true } });
const SelfServiceUnban = z
  .strictObject({ net: Net, reason: Reason })
  .openapi("SelfServiceUnban", { example: { net: "192.0.2.9", reason: "customer was locked out" } });
const TenantParam = z.object({ name: TokenName.openapi({ example: "acme" }) });

const list = createRoute({
  method: "get",
  path: "/tenants",
  summary: "List tenants",
  ...needs(leastRoles.tenants),
  responses: { 200: json(z.object({ items: z.array(Tenant) }), "Every tenant this token may see."), ...problems },
});
const one = createRoute({
  method: "get",
  path: "/tenants/{name}",
  summary: "One tenant",
  request: { params: TenantParam },
  ...needs(leastRoles.tenants),
  responses: { 200: tagged(Tenant, "The tenant."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/tenants",
  summary: "Add a tenant",
  request: { query: ReasonedWriteParams, headers: IdempotencyKey, ...body(NewTenant) },
  ...needs(leastRoles.addTenant),
  responses: { 201: json(Tenant, "The tenant; enrolment tokens may now be made for it."), ...problems },
});
const change = createRoute({
  method: "patch",
  path: "/tenants/{name}",
  summary: "Change a tenant's trust, or put it in quarantine",
  description:
    "`trust: full`: its failures ban fleet-wide; `vote`: they are one vote. A quarantined tenant has no vote.",
  request: { params: TenantParam, query: ReasonedWriteParams, headers: EditHeaders, ...body(TenantChange) },
  ...needs(leastRoles.changeTenant),
  responses: { 200: tagged(Tenant, "The tenant as it is now."), ...problems, ...stale },
});
const unban = createRoute({
  method: "post",
  path: "/tenants/{name}/unban",
  summary: "Lift an address for one tenant, as its customer asked in the panel",
  description:
    "Does with any token what the tenant's own would: lifts the bans of its scope and hosts; a fleet ban goes on and its hosts get an exception for 24 h. Three times a day.",
  request: { params: TenantParam, query: WriteParams, headers: IdempotencyKey, ...body(SelfServiceUnban) },
  ...needs(leastRoles.unbanNet),
  responses: { 200: json(Receipt, "What was lifted, and on how many hosts it is already gone."), ...problems },
});

export function tenantRoutes(desk: Desk) {
  const named = async (principal: Principal, name: string): Promise<TenantView> => {
    const found = (await desk.tenants(principal)).find((tenant) => tenant.name === name);
    if (found === undefined) throw new Fleet2banError("not_found", `there is no tenant ${name}`);
    return found;
  };
  return newApi()
    .openapi(list, async (context) => {
      const tenants = await desk.tenants(context.get("principal"));
      return context.json({ items: tenants.map(showTenant) }, 200);
    })
    .openapi(create, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      const made = await desk.addTenant(context.get("principal"), context.req.valid("json"), options);
      return context.json(showTenant(made), 201);
    })
    .openapi(one, async (context) => {
      const tenant = await named(context.get("principal"), context.req.valid("param").name);
      return context.json(showTenant(tenant), 200, { etag: quoted(tenant.etag) });
    })
    .openapi(change, async (context) => {
      const options = optionsOf(context.req.valid("query"), context.req.valid("header"));
      const { name } = context.req.valid("param");
      const tenant = await desk.changeTenant(context.get("principal"), name, context.req.valid("json"), options);
      return context.json(showTenant(tenant), 200, { etag: quoted(tenant.etag) });
    })
    .openapi(unban, async (context) => {
      const principal = context.get("principal");
      const { name } = context.req.valid("param");
      requireTenant(principal, name);
      await named(principal, name);
      const { net, reason } = context.req.valid("json");
      const options = optionsOf(context.req.valid("query"));
      return context.json(showReceipt(await desk.unbanNet({ ...principal, tenant: name }, net, reason, options)), 200);
    });
}

function showTenant({ createdMs, ...tenant }: TenantView) {
  return { ...tenant, created: timeOf(createdMs) };
}
