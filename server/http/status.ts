import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { type Api, newApi } from "./api.ts";
import { json, problems } from "./routes.ts";
import { Time, timeOf } from "./schemas.ts";

export const Status = z
  .object({
    version: z.string(),
    hosts: z.object({ total: z.int(), connected: z.int(), lagging: z.int(), notEnforcing: z.int() }),
    bans: z.object({ active: z.int(), byLevel: z.record(z.string(), z.int()) }),
    failuresLastHour: z.int(),
    degraded: z.array(z.string()),
  })
  .openapi("Status");

const Failure = z
  .object({
    at: Time,
    tenant: z.string(),
    host: z.string(),
    jail: z.string(),
    address: z.string(),
    count: z.int(),
  })
  .openapi("Failure");

const status = createRoute({
  method: "get",
  path: "/status",
  summary: "The fleet in one glance, and what is not as it should be",
  responses: { 200: json(Status, "The state of the fleet."), ...problems },
});
const failures = createRoute({
  method: "get",
  path: "/failures",
  summary: "The latest failures",
  request: { query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) }) },
  responses: { 200: json(z.object({ items: z.array(Failure) }), "Newest first."), ...problems },
});

export function statusRoutes(desk: Desk): Api {
  const api = newApi();
  api.openapi(status, async (context) => {
    const now = await desk.status(context.get("principal"));
    return context.json(
      { ...now, bans: { ...now.bans, byLevel: { ...now.bans.byLevel } }, degraded: [...now.degraded] },
      200,
    );
  });
  api.openapi(failures, async (context) => {
    const rows = await desk.recentFailures(context.get("principal"), context.req.valid("query").limit);
    return context.json({ items: rows.map(({ atMs, ...row }) => ({ at: timeOf(atMs), ...row })) }, 200);
  });
  return api;
}
