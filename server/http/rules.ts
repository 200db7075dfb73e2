import { createRoute, z } from "@hono/zod-openapi";
import type { Desk, RuleKind } from "../desk/desk.ts";
import { type Api, newApi } from "./api.ts";
import { requireRole } from "./auth.ts";
import { body, json, problems } from "./routes.ts";
import { Duration, Net, PageParams, pageOf, Reason, Rule, TokenName } from "./schemas.ts";
import { showRule } from "./views.ts";

const NewRule = z
  .strictObject({
    net: Net,
    /** null = the whole fleet. */
    tenant: TokenName.nullable().default(null),
    reason: Reason,
    duration: Duration.nullable().default(null),
  })
  .openapi("NewRule", { example: { net: "198.51.100.0/24", tenant: null, reason: "our office", duration: null } });

const about = {
  allow: "Networks whose failures count for nothing; adding one lifts what it covers.",
  never: "Networks nothing may ever ban, whoever orders it.",
} as const;

/** `/allow` and `/never` are the same resource with different force. */
export function ruleRoutes(desk: Desk): Api {
  const api = newApi();
  for (const kind of ["allow", "never"] as const) addRuleRoutes(api, desk, kind);
  return api;
}

function addRuleRoutes(api: Api, desk: Desk, kind: RuleKind): void {
  const list = createRoute({
    method: "get",
    path: `/${kind}`,
    summary: `List the ${kind} list`,
    description: about[kind],
    request: { query: PageParams },
    responses: { 200: json(pageOf(Rule), "A page of entries."), ...problems },
  });
  const create = createRoute({
    method: "post",
    path: `/${kind}`,
    summary: `Add to the ${kind} list`,
    description: about[kind],
    request: body(NewRule),
    responses: { 201: json(Rule, "The entry; what it covers is being lifted."), ...problems },
  });
  const remove = createRoute({
    method: "delete",
    path: `/${kind}/{id}`,
    summary: `Remove from the ${kind} list`,
    request: { params: z.object({ id: z.coerce.number().int().positive() }) },
    responses: { 204: { description: "Removed." }, ...problems },
  });
  api.openapi(list, async (context) => {
    const page = await desk.rules(context.get("principal"), kind, context.req.valid("query"));
    return context.json({ items: page.items.map(showRule), next: page.next }, 200);
  });
  api.openapi(create, async (context) => {
    const principal = requireRole(context.get("principal"), kind === "never" ? "admin" : "operator");
    const { duration, ...request } = context.req.valid("json");
    return context.json(showRule(await desk.addRule(principal, kind, { ...request, durationMs: duration })), 201);
  });
  api.openapi(remove, async (context) => {
    const principal = requireRole(context.get("principal"), kind === "never" ? "admin" : "operator");
    await desk.removeRule(principal, kind, context.req.valid("param").id);
    return context.body(null, 204);
  });
}
