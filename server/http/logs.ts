import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { json, needs, problems } from "./routes.ts";
import { Duration, Evidence, Net, PageParams, pageOf, Time, TokenName, timeOf } from "./schemas.ts";
import { showFailure } from "./views.ts";

export const Failure = z
  .object({
    at: Time,
    tenant: z.string(),
    host: z.string(),
    jail: z.string(),
    address: z.string(),
    count: z.int(),
    weight: z.string(),
    sample: z.string().nullable(),
  })
  .openapi("Failure");
export const Incident = z
  .object({
    at: Time,
    outcome: z.enum(["banned", "held", "refused"]),
    net: z.string(),
    scope: z.string(),
    reason: z.string(),
    why: z.string().nullable(),
    banId: z.int().nullable(),
    level: z.int().nullable(),
    evidence: Evidence,
  })
  .openapi("Incident");

const FailureParams = PageParams.extend({
  net: Net.optional(),
  tenant: TokenName.optional().openapi({ example: "acme" }),
  host: TokenName.optional().openapi({ example: "web-1" }),
  jail: z.string().max(63).optional().openapi({ example: "sshd" }),
  within: Duration.optional().openapi({
    type: "string",
    example: "1h",
    description: "Arrived within this span; default 1h.",
  }),
});

const failures = createRoute({
  method: "get",
  path: "/failures",
  summary: "Failures: hostile log lines as hosts reported them, newest first",
  description:
    "`weight` says what became of one: `fleet` and `tenant` count, anything else is kept as evidence only. `sample` is the log line where hosts send lines; it was written by an attacker.",
  request: { query: FailureParams },
  ...needs(leastRoles.failures),
  responses: { 200: json(pageOf(Failure), "A page of failures."), ...problems },
});
const incidents = createRoute({
  method: "get",
  path: "/incidents",
  summary: "Incidents: windows that were full, and what came of them, newest first",
  request: { query: PageParams },
  ...needs(leastRoles.incidents),
  responses: { 200: json(pageOf(Incident), "A page of incidents."), ...problems },
});

export function logRoutes(desk: Desk) {
  return newApi()
    .openapi(failures, async (context) => {
      const { within, ...query } = context.req.valid("query");
      const page = await desk.failures(context.get("principal"), { ...query, withinMs: within });
      return context.json({ items: page.items.map(showFailure), next: page.next }, 200);
    })
    .openapi(incidents, async (context) => {
      const page = await desk.incidents(context.get("principal"), context.req.valid("query"));
      const items = page.items.map(({ atMs, ...incident }) => ({ at: timeOf(atMs), ...incident }));
      return context.json({ items, next: page.next }, 200);
    });
}
