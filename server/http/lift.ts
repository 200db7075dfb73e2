import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { body, IdempotencyKey, json, needs, optionsOf, problems, WriteParams } from "./routes.ts";
import { Ban, Net, Reason, ScopeText } from "./schemas.ts";
import { showBan } from "./views.ts";

/** One turn of the coordinator: a quarter of a second, in which failures wait. */
export const liftMax = 1000;

const LiftRequest = z
  .strictObject({
    filter: z.strictObject({
      scope: ScopeText.optional(),
      /** This network and everything in it. */
      net: Net.optional(),
      level: z.int().min(0).max(15).optional(),
      jail: z.string().max(63).optional(),
      reason: z.string().max(100).optional(),
    }),
    /** Must be true when the filter is empty: every ban of the fleet. */
    all: z.boolean().default(false),
    reason: Reason,
    upTo: z.int().positive().optional(),
    limit: z.int().min(1).max(liftMax).default(liftMax),
  })
  .refine(
    ({ filter, all }) => all || Object.values(filter).some((value) => value !== undefined),
    "filter: name which bans are meant, or write all: true for every one",
  )
  .openapi("LiftRequest", { example: { filter: { scope: "fleet", reason: "admin" }, reason: "false-positive" } });

export const Lift = z
  .object({
    lifted: z.int(),
    remaining: z.int(),
    upTo: z.int(),
    byLevel: z.record(z.string(), z.int()),
    scopes: z.array(z.object({ scope: z.string(), bans: z.int(), lastBan: z.int(), applied: z.int(), total: z.int() })),
    sample: z.array(Ban),
  })
  .openapi("Lift");

const lift = createRoute({
  method: "post",
  path: "/bans/lift",
  summary: "Lift every ban that matches a filter, up to 1000 at a time",
  description:
    "First with dryRun=true: how many match, by level and scope, and the newest of them. Send its `upTo` along, and bans made since stay. Repeat while `remaining` is not 0. `scopes` are the 20 with most bans; the receipt of one's `lastBan` is that of all before it. Only for tokens of the whole fleet.",
  request: { query: WriteParams, headers: IdempotencyKey, ...body(LiftRequest) },
  ...needs(leastRoles.liftBans),
  responses: { 200: json(Lift, "What was lifted, where that has arrived, and what still matches."), ...problems },
});

export function liftRoutes(desk: Desk) {
  return newApi().openapi(lift, async (context) => {
    const { all: _, ...request } = context.req.valid("json");
    const done = await desk.liftBans(context.get("principal"), request, optionsOf(context.req.valid("query")));
    const { scopes, sample, byLevel, ...rest } = done;
    return context.json({ ...rest, byLevel: { ...byLevel }, scopes: [...scopes], sample: sample.map(showBan) }, 200);
  });
}
