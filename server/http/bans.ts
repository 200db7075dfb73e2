import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { type Api, newApi } from "./api.ts";
import { requireRole } from "./auth.ts";
import { body, json, problems } from "./routes.ts";
import { Ban, Duration, Net, PageParams, Ports, pageOf, Reason, Receipt, ScopeText } from "./schemas.ts";
import { showBan } from "./views.ts";

const BanParams = PageParams.extend({
  active: z.enum(["true", "false"]).default("true"),
  scope: ScopeText.optional(),
  net: Net.optional(),
  level: z.coerce.number().int().min(0).max(15).optional(),
});

const NewBan = z
  .strictObject({
    net: Net,
    scope: ScopeText.default("fleet"),
    /** null = until it is lifted. */
    bantime: Duration.nullable(),
    ports: Ports.nullable().optional(),
    reason: Reason,
    dryRun: z.boolean().default(false),
  })
  .openapi("NewBan", { example: { net: "192.0.2.1", scope: "fleet", bantime: "1h", reason: "scans every host" } });

const list = createRoute({
  method: "get",
  path: "/bans",
  summary: "List bans, newest first",
  request: { query: BanParams },
  responses: { 200: json(pageOf(Ban), "A page of bans; `next` is the cursor of the following one."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/bans",
  summary: "Ban a network by hand",
  request: body(NewBan),
  responses: { 201: json(Ban, "The ban, on its way to every host it covers."), ...problems },
});
const lift = createRoute({
  method: "delete",
  path: "/bans/{id}",
  summary: "Lift one ban everywhere",
  request: { params: z.object({ id: z.coerce.number().int().positive() }), query: z.object({ reason: Reason }) },
  responses: { 200: json(Receipt, "What was lifted, and on how many hosts it is already gone."), ...problems },
});
const liftNet = createRoute({
  method: "delete",
  path: "/bans",
  summary: "Lift every ban of one address or network, hosts' own bans included",
  request: { query: z.object({ net: Net, reason: Reason }) },
  responses: { 200: json(Receipt, "What was lifted, and on how many hosts it is already gone."), ...problems },
});
const receipt = createRoute({
  method: "get",
  path: "/bans/{id}/receipt",
  summary: "Where a lifted ban is already gone",
  request: { params: z.object({ id: z.coerce.number().int().positive() }) },
  responses: { 200: json(Receipt, "Hosts that carried it out, and those still waiting."), ...problems },
});

export function banRoutes(desk: Desk): Api {
  const api = newApi();
  api.openapi(list, async (context) => {
    const { active, ...query } = context.req.valid("query");
    const page = await desk.bans(context.get("principal"), { ...query, active: active === "true" });
    return context.json({ items: page.items.map(showBan), next: page.next }, 200);
  });
  api.openapi(create, async (context) => {
    const principal = requireRole(context.get("principal"), "operator");
    const { bantime, ports, ...request } = context.req.valid("json");
    const ban = await desk.ban(principal, { ...request, banTimeMs: bantime, ports: ports ?? null });
    return context.json(showBan(ban), 201);
  });
  api.openapi(lift, async (context) => {
    const principal = requireRole(context.get("principal"), "support");
    const { id } = context.req.valid("param");
    return context.json(showReceipt(await desk.unban(principal, id, context.req.valid("query").reason)), 200);
  });
  api.openapi(liftNet, async (context) => {
    const principal = requireRole(context.get("principal"), "support");
    const { net, reason } = context.req.valid("query");
    return context.json(showReceipt(await desk.unbanNet(principal, net, reason)), 200);
  });
  api.openapi(receipt, async (context) => {
    return context.json(showReceipt(await desk.receipt(context.get("principal"), context.req.valid("param").id)), 200);
  });
  return api;
}

function showReceipt(receipt: Awaited<ReturnType<Desk["receipt"]>>) {
  return { ...receipt, lifted: [...receipt.lifted], waiting: [...receipt.waiting] };
}
