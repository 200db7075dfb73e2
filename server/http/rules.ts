import { createRoute, z } from "@hono/zod-openapi";
import type { Desk, RuleKind } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { showApproval, waits } from "./approvals.ts";
import { body, IdempotencyKey, json, needs, optionsOf, problems, ReasonedWriteParams, WriteParams } from "./routes.ts";
import { DurationOrNull, IdParam, Net, PageParams, pageOf, Reason, Rule, TokenName } from "./schemas.ts";
import { showRule } from "./views.ts";

const NewRule = z
  .strictObject({
    net: Net,
    /** null = the whole fleet. */
    tenant: TokenName.nullable().default(null),
    reason: Reason,
    duration: DurationOrNull.default(null),
  })
  .openapi("NewRule", { example: { net: "198.51.100.0/24", tenant: null, reason: "our office", duration: null } });

const about = {
  allow: "Networks whose failures count for nothing; adding one lifts what it covers. A tenant sees its own.",
  never: "Networks nothing may ever ban, whoever orders it.",
} as const;

/** `/allow` and `/never` are the same resource with different force. */
export function ruleRoutes<Kind extends RuleKind>(desk: Desk, kind: Kind) {
  const least = kind === "never" ? "admin" : leastRoles.addRule;
  const path = `/${kind}` as const;
  const list = createRoute({
    method: "get",
    path,
    summary: `List the ${kind} list`,
    description: about[kind],
    request: { query: PageParams },
    ...needs(leastRoles.rules),
    responses: { 200: json(pageOf(Rule), "A page of entries."), ...problems },
  });
  const create = createRoute({
    method: "post",
    path,
    summary: `Add to the ${kind} list`,
    description: about[kind],
    request: { query: WriteParams, headers: IdempotencyKey, ...body(NewRule) },
    ...needs(least),
    responses: { 201: json(Rule, "The entry; what it covers is being lifted."), ...waits, ...problems },
  });
  const remove = createRoute({
    method: "delete",
    path: `/${kind}/{id}` as const,
    summary: `Remove from the ${kind} list`,
    request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
    ...needs(least),
    responses: { 204: { description: "Removed." }, ...problems },
  });
  return newApi()
    .openapi(list, async (context) => {
      const page = await desk.rules(context.get("principal"), kind, context.req.valid("query"));
      return context.json({ items: page.items.map(showRule), next: page.next }, 200);
    })
    .openapi(create, async (context) => {
      const { duration, ...request } = context.req.valid("json");
      const asked = { ...request, durationMs: duration };
      const options = optionsOf(context.req.valid("query"));
      const outcome = await desk.addRule(context.get("principal"), kind, asked, options);
      if (outcome.kind === "waits") return context.json(showApproval(outcome.approval), 202);
      return context.json(showRule(outcome.made), 201);
    })
    .openapi(remove, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      await desk.removeRule(context.get("principal"), kind, context.req.valid("param").id, options);
      return context.body(null, 204);
    });
}
