import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import type { HeldView } from "../desk/log-views.ts";
import { newApi } from "./api.ts";
import { IdempotencyKey, json, needs, optionsOf, problems, ReasonedWriteParams } from "./routes.ts";
import { Evidence, IdParam, PageParams, pageOf, Time, timeOf } from "./schemas.ts";

export const Held = z
  .object({
    id: z.int(),
    at: Time,
    net: z.string(),
    scope: z.string(),
    why: z.string(),
    reason: z.string(),
    ports: z.array(z.int()).nullable(),
    evidence: Evidence,
  })
  .openapi("Held");

const list = createRoute({
  method: "get",
  path: "/held",
  summary: "Bans the brake holds until somebody decides, newest first",
  request: { query: PageParams },
  ...needs(leastRoles.held),
  responses: { 200: json(pageOf(Held), "A page of held bans."), ...problems },
});
const release = createRoute({
  method: "post",
  path: "/held/{id}/release",
  summary: "Make a held ban now",
  request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.decideHeld),
  responses: { 200: json(Held, "What was held, and is banned now."), ...problems },
});
const drop = createRoute({
  method: "post",
  path: "/held/{id}/drop",
  summary: "Forget a held ban",
  request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.decideHeld),
  responses: { 200: json(Held, "What was held, and is forgotten."), ...problems },
});

export function heldRoutes(desk: Desk) {
  return newApi()
    .openapi(list, async (context) => {
      const page = await desk.held(context.get("principal"), context.req.valid("query"));
      return context.json({ items: page.items.map(showHeld), next: page.next }, 200);
    })
    .openapi(release, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      const { id } = context.req.valid("param");
      return context.json(showHeld(await desk.decideHeld(context.get("principal"), id, "release", options)), 200);
    })
    .openapi(drop, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      const { id } = context.req.valid("param");
      return context.json(showHeld(await desk.decideHeld(context.get("principal"), id, "drop", options)), 200);
    });
}

function showHeld({ atMs, ports, ...held }: HeldView) {
  return { ...held, at: timeOf(atMs), ports: ports === null ? null : [...ports] };
}
