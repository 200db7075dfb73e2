import { createRoute, z } from "@hono/zod-openapi";
import { secondMs } from "../../shared/durations.ts";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { showApproval, waits } from "./approvals.ts";
import { body, DryRun, IdempotencyKey, json, needs, optionsOf, problems, WriteParams } from "./routes.ts";
import {
  Ban,
  DurationOrNull,
  Flag,
  IdParam,
  Net,
  PageParams,
  Ports,
  pageOf,
  Reason,
  Receipt,
  ScopeText,
} from "./schemas.ts";
import { showBan, showReceipt } from "./views.ts";

const BanParams = PageParams.extend({
  active: Flag.default("true").openapi({ description: "false: ended ones too.", example: "true" }),
  scope: ScopeText.optional(),
  net: Net.optional().openapi({
    type: "string",
    description: "This network and everything in it.",
    example: "192.0.2.0/24",
  }),
  level: z.coerce.number().int().min(0).max(15).optional().openapi({ type: "integer", example: 0 }),
  jail: z.string().max(63).optional().openapi({ example: "sshd" }),
  reason: z
    .string()
    .max(100)
    .optional()
    .openapi({ description: "spread, votes, network, admin, `jail sshd` or `feed drop`", example: "admin" }),
  sort: z
    .enum(["newest", "oldest", "ending"])
    .default("newest")
    .openapi({ description: "ending: of active bans, what ends next first.", example: "newest" }),
});

const NewBan = z
  .strictObject({
    net: Net,
    scope: ScopeText.default("fleet"),
    /** null = until it is lifted. */
    bantime: DurationOrNull,
    ports: Ports.nullable().optional(),
    reason: Reason,
    dryRun: z.boolean().default(false),
  })
  .openapi("NewBan", { example: { net: "192.0.2.1", scope: "fleet", bantime: "1h", reason: "scans every host" } });

/** A person waits with it; who wants to know more asks for the receipt again. */
const waitSecondsMax = 10;
const liftParams = {
  reason: Reason.openapi({ description: "`false-positive` also erases it from the ladder." }),
  wait: z.coerce.number().min(0).max(waitSecondsMax).default(0).openapi({
    type: "number",
    description: "Seconds to wait for connected hosts to carry it out, so that the receipt knows them.",
    example: 2,
  }),
};

const list = createRoute({
  method: "get",
  path: "/bans",
  summary: "List bans, newest first",
  request: { query: BanParams },
  ...needs(leastRoles.bans),
  responses: { 200: json(pageOf(Ban), "A page of bans; `next` is the cursor of the following one."), ...problems },
});
const one = createRoute({
  method: "get",
  path: "/bans/{id}",
  summary: "One ban",
  request: { params: IdParam },
  ...needs(leastRoles.oneBan),
  responses: { 200: json(Ban, "The ban."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/bans",
  summary: "Ban a network by hand",
  request: { query: z.object({ dryRun: DryRun }), headers: IdempotencyKey, ...body(NewBan) },
  ...needs(leastRoles.ban),
  responses: {
    201: json(Ban, "The ban, on its way to every host it covers; id 0 in a dry run."),
    ...waits,
    ...problems,
  },
});
const lift = createRoute({
  method: "delete",
  path: "/bans/{id}",
  summary: "Lift one ban everywhere",
  description:
    "With a tenant's token a fleet ban goes on and the tenant's hosts get an exception for 24 h. With the reason `false-positive` also a ban that has ended: the ladder forgets it.",
  request: { params: IdParam, query: WriteParams.extend(liftParams), headers: IdempotencyKey },
  ...needs(leastRoles.unban),
  responses: { 200: json(Receipt, "What was lifted, and on how many hosts it is already gone."), ...problems },
});
const liftNet = createRoute({
  method: "delete",
  path: "/bans",
  summary: "Lift every ban of one address or network, hosts' own bans included",
  description:
    "When none stands, the reason `false-positive` is about those that have ended: the ladder forgets them. With a tenant's token: the bans of its own scope and hosts; a fleet ban goes on and its hosts get an exception for 24 h. A tenant may do so three times a day.",
  request: { query: WriteParams.extend({ net: Net, ...liftParams }), headers: IdempotencyKey },
  ...needs(leastRoles.unbanNet),
  responses: { 200: json(Receipt, "What was lifted, and on how many hosts it is already gone."), ...problems },
});
const receipt = createRoute({
  method: "get",
  path: "/bans/{id}/receipt",
  summary: "Where a ban, or its lifting, has arrived",
  request: { params: IdParam },
  ...needs(leastRoles.receipt),
  responses: { 200: json(Receipt, "Hosts that carried it out, and those still waiting."), ...problems },
});

export function banRoutes(desk: Desk) {
  return newApi()
    .openapi(list, async (context) => {
      const { active, ...query } = context.req.valid("query");
      const page = await desk.bans(context.get("principal"), { ...query, active: active === "true" });
      return context.json({ items: page.items.map(showBan), next: page.next }, 200);
    })
    .openapi(create, async (context) => {
      const { bantime, ports, dryRun, ...request } = context.req.valid("json");
      const isDry = dryRun || context.req.valid("query").dryRun === "true";
      const asked = { ...request, dryRun: isDry, banTimeMs: bantime, ports: ports ?? null };
      const outcome = await desk.ban(context.get("principal"), asked);
      if (outcome.kind === "waits") return context.json(showApproval(outcome.approval), 202);
      return context.json(showBan(outcome.made), 201);
    })
    .openapi(liftNet, async (context) => {
      const { net, reason, wait, ...query } = context.req.valid("query");
      const options = { ...optionsOf(query), waitMs: wait * secondMs };
      const lifted = await desk.unbanNet(context.get("principal"), net, reason, options);
      return context.json(showReceipt(lifted), 200);
    })
    .openapi(one, async (context) => {
      return context.json(showBan(await desk.oneBan(context.get("principal"), context.req.valid("param").id)), 200);
    })
    .openapi(lift, async (context) => {
      const { id } = context.req.valid("param");
      const { reason, wait, ...query } = context.req.valid("query");
      const options = { ...optionsOf(query), waitMs: wait * secondMs };
      return context.json(showReceipt(await desk.unban(context.get("principal"), id, reason, options)), 200);
    })
    .openapi(receipt, async (context) => {
      const found = await desk.receipt(context.get("principal"), context.req.valid("param").id);
      return context.json(showReceipt(found), 200);
    });
}
