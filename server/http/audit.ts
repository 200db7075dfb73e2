import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { json, needs, problems } from "./routes.ts";
import { IdParam, PageParams, pageOf, Time, timeOf } from "./schemas.ts";

export const AuditEntry = z
  .object({
    sequence: z.int(),
    at: Time,
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    detail: z.record(z.string(), z.unknown()),
    hash: z.string(),
  })
  .openapi("AuditEntry");
export const AuditCheck = z
  .object({ entries: z.int(), brokenAt: z.int().nullable() })
  .openapi("AuditCheck", { example: { entries: 4711, brokenAt: null } });

const list = createRoute({
  method: "get",
  path: "/audit",
  summary: "The audit log, newest first",
  description:
    "Every write: who, what, on what; `detail` has `before`, `after`, `note` (why), `requestId` and the `token`'s number.",
  request: {
    query: PageParams.extend({
      action: z.string().max(100).optional().openapi({ example: "ban" }),
      actor: z.string().max(100).optional().openapi({ example: "anna" }),
      target: z.string().max(300).optional().openapi({ example: "192.0.2.1/32" }),
    }),
  },
  ...needs(leastRoles.audit),
  responses: { 200: json(pageOf(AuditEntry), "A page of entries."), ...problems },
});
const verify = createRoute({
  method: "get",
  path: "/audit/verify",
  summary: "Recompute the hash chain of the audit log",
  ...needs(leastRoles.verifyAudit),
  responses: { 200: json(AuditCheck, "`brokenAt`: the first entry somebody touched; null when sound."), ...problems },
});

export const AuditReach = z
  .object({
    sequence: z.int(),
    scopes: z.array(z.object({ scope: z.string(), applied: z.int(), total: z.int(), waiting: z.array(z.string()) })),
  })
  .openapi("AuditReach");
const reach = createRoute({
  method: "get",
  path: "/audit/{id}/reach",
  summary: "Which hosts an act has reached",
  description:
    "By scope of its orders; none for an act that ordered nothing, or whose orders are forgotten after 7 days.",
  request: { params: IdParam },
  ...needs(leastRoles.auditReach),
  responses: { 200: json(AuditReach, "Hosts that carried it out, and those still waiting."), ...problems },
});

export function auditRoutes(desk: Desk) {
  return newApi()
    .openapi(list, async (context) => {
      const page = await desk.audit(context.get("principal"), context.req.valid("query"));
      const items = page.items.map(({ atMs, detail, ...entry }) => ({
        ...entry,
        at: timeOf(atMs),
        detail: { ...detail },
      }));
      return context.json({ items, next: page.next }, 200);
    })
    .openapi(reach, async (context) => {
      const { sequence, scopes } = await desk.auditReach(context.get("principal"), context.req.valid("param").id);
      return context.json({ sequence, scopes: scopes.map((each) => ({ ...each, waiting: [...each.waiting] })) }, 200);
    })
    .openapi(verify, async (context) => context.json(await desk.verifyAudit(context.get("principal")), 200));
}
