import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { json, needs, problems } from "./routes.ts";
import { Blocked, RoleName, Time, timeOf } from "./schemas.ts";
import { dateOf } from "./views.ts";

export const Status = z
  .object({
    version: z.string(),
    hosts: z.object({ total: z.int(), connected: z.int(), lagging: z.int(), notEnforcing: z.int() }),
    bans: z.object({ active: z.int(), byLevel: z.record(z.string(), z.int()) }),
    failuresLastHour: z.int(),
    degraded: z.array(z.string()),
  })
  .openapi("Status");

export const Stats = z
  .object({
    attacksPerMinute: z.array(z.object({ at: Time, jail: z.string(), count: z.int() })),
    attacksPerDay: z.array(z.object({ day: z.string(), jail: z.string(), count: z.int() })),
    bansByLevel: z.record(z.string(), z.int()),
    falsePositives: z.object({ bans: z.int(), lifted: z.int(), rate: z.number() }),
    latency: z.object({ p50Ms: z.number(), p99Ms: z.number(), samples: z.int() }).nullable(),
    blocked: z.array(Blocked),
    held: z.int(),
    approvals: z.int(),
    brake: z.enum(["open", "holding"]),
  })
  .openapi("Stats");

export const Me = z
  .object({ token: z.int(), name: z.string(), role: RoleName, tenant: z.string().nullable() })
  .openapi("Me");

const me = createRoute({
  method: "get",
  path: "/me",
  summary: "Who this token is, and what it may do",
  ...needs("viewer"),
  responses: { 200: json(Me, "The token's name, role and tenant (null: the whole fleet)."), ...problems },
});
const status = createRoute({
  method: "get",
  path: "/status",
  summary: "The fleet in one glance, and what is not as it should be",
  ...needs(leastRoles.status),
  responses: { 200: json(Status, "The state of the fleet."), ...problems },
});
const stats = createRoute({
  method: "get",
  path: "/stats",
  summary: "Figures: attacks per minute and day, bans by level, false positives, latency",
  description:
    "`attacksPerDay`: of the last 30 days before today, in UTC. `falsePositives`: of the last 7 days' bans, how many people lifted within a day. `latency`: from a ban to hosts' word that they enforce it. `blocked`: what the hosts' firewalls have stopped since each one's agent started.",
  ...needs(leastRoles.stats),
  responses: { 200: json(Stats, "Figures of this token's part of the fleet."), ...problems },
});

export function statusRoutes(desk: Desk) {
  return newApi()
    .openapi(me, (context) => {
      const { tokenId, name, role, tenant } = context.get("principal");
      return context.json({ token: tokenId, name, role, tenant }, 200);
    })
    .openapi(status, async (context) => {
      const now = await desk.status(context.get("principal"));
      return context.json(
        { ...now, bans: { ...now.bans, byLevel: { ...now.bans.byLevel } }, degraded: [...now.degraded] },
        200,
      );
    })
    .openapi(stats, async (context) => {
      const { attacksPerMinute, attacksPerDay, bansByLevel, blocked, ...rest } = await desk.stats(
        context.get("principal"),
      );
      const attacks = attacksPerMinute.map(({ atMs, ...each }) => ({ at: timeOf(atMs), ...each }));
      const days = attacksPerDay.map(({ atMs, ...each }) => ({ day: dateOf(atMs), ...each }));
      return context.json(
        {
          ...rest,
          attacksPerMinute: attacks,
          attacksPerDay: days,
          bansByLevel: { ...bansByLevel },
          blocked: [...blocked],
        },
        200,
      );
    });
}
