import { createRoute, z } from "@hono/zod-openapi";
import type { Desk, TenantView } from "../desk/desk.ts";
import { type Api, newApi } from "./api.ts";
import { requireRole } from "./auth.ts";
import { body, json, problems } from "./routes.ts";
import { Time, TokenName, timeOf } from "./schemas.ts";

export const Tenant = z
  .object({ name: z.string(), trust: z.enum(["full", "vote"]), created: Time, hosts: z.int() })
  .openapi("Tenant");
const NewTenant = z
  .strictObject({ name: TokenName, trust: z.enum(["full", "vote"]).default("vote") })
  .openapi("NewTenant", { example: { name: "acme", trust: "vote" } });

const list = createRoute({
  method: "get",
  path: "/tenants",
  summary: "List tenants",
  responses: { 200: json(z.object({ items: z.array(Tenant) }), "Every tenant this token may see."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/tenants",
  summary: "Add a tenant",
  request: body(NewTenant),
  responses: { 201: json(Tenant, "The tenant; enrolment tokens may now be made for it."), ...problems },
});

export function tenantRoutes(desk: Desk): Api {
  const api = newApi();
  api.openapi(list, async (context) => {
    const tenants = await desk.tenants(context.get("principal"));
    return context.json({ items: tenants.map(showTenant) }, 200);
  });
  api.openapi(create, async (context) => {
    const principal = requireRole(context.get("principal"), "admin");
    return context.json(showTenant(await desk.addTenant(principal, context.req.valid("json"))), 201);
  });
  return api;
}

function showTenant({ createdMs, ...tenant }: TenantView) {
  return { ...tenant, created: timeOf(createdMs) };
}
