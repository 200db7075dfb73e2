import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { json, needs, problems } from "./routes.ts";
import { Ban, Net, Rule, Time } from "./schemas.ts";
import { showExplanation } from "./views.ts";

export const Explanation = z
  .object({
    address: z.string(),
    banned: z.boolean(),
    summary: z.string(),
    bans: z.array(Ban.extend({ inForceOn: z.object({ applied: z.int(), total: z.int() }), mayBeLiftedBy: z.string() })),
    localBans: z.array(
      z.object({
        host: z.string(),
        tenant: z.string(),
        jail: z.string(),
        net: z.string(),
        started: Time,
        until: Time.nullable(),
      }),
    ),
    rules: z.array(Rule.extend({ kind: z.enum(["allow", "never"]) })),
    feeds: z
      .array(
        z.object({
          feed: z.string(),
          mode: z.string(),
          net: z.string(),
          since: Time,
          fetched: Time.nullable(),
          lifted: Time.nullable(),
          liftedBy: z.string().nullable(),
        }),
      )
      .openapi({ description: "Others' lists that name it; what somebody lifted of one stays lifted.", example: [] }),
    history: z.array(Ban),
    evidence: z.array(
      z.object({ tenant: z.string(), host: z.string(), jail: z.string(), failures: z.int(), first: Time, last: Time }),
    ),
    seen: z
      .object({
        days: z.int(),
        failures: z.int(),
        hosts: z.int(),
        perDay: z.array(z.object({ day: z.string(), failures: z.int(), hosts: z.int() })),
      })
      .openapi({
        description:
          "What hosts saw of it in so many days; `evidence` goes back as far as failures themselves are kept. Days without failures are left out. Of an IPv6 address: of its /64.",
        example: { days: 30, failures: 120, hosts: 14, perDay: [{ day: "2026-11-22", failures: 120, hosts: 14 }] },
      }),
    nextLevel: z.string(),
    home: z
      .object({
        country: z.string().nullable(),
        asn: z.int().nullable(),
        organisation: z.string().nullable(),
        sources: z.array(
          z.object({
            of: z.enum(["country", "network owner"]),
            name: z.string(),
            licence: z.string().nullable(),
            credits: z.array(z.object({ name: z.string(), url: z.string() })),
            dated: z.string().nullable(),
            problem: z.string().nullable(),
          }),
        ),
      })
      .openapi({
        description:
          "Country and network owner, from data on the coordinator's own disk; of a network, of its first address.",
      }),
  })
  .openapi("Explanation");

const explain = createRoute({
  method: "get",
  path: "/explain",
  summary: "Everything about one address: every list, ban, level, history and the evidence",
  request: { query: z.object({ ip: Net }) },
  ...needs(leastRoles.explain),
  responses: { 200: json(Explanation, "The whole answer in one call."), ...problems },
});

export function explainRoutes(desk: Desk) {
  return newApi().openapi(explain, async (context) => {
    const explanation = await desk.explain(context.get("principal"), context.req.valid("query").ip);
    return context.json(showExplanation(explanation), 200);
  });
}
