import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import {
  body,
  EditHeaders,
  json,
  needs,
  optionsOf,
  problems,
  quoted,
  ReasonedWriteParams,
  stale,
  tagged,
} from "./routes.ts";
import { Flag, Host, PageParams, pageOf, TokenName } from "./schemas.ts";
import { showHost } from "./views.ts";

/** What people call a host; shown in tables. */
const labelLengthMax = 100;

const HostParams = PageParams.extend({
  tenant: TokenName.optional().openapi({ example: "acme" }),
  state: z.enum(["active", "quarantined", "revoked"]).optional().openapi({ example: "active" }),
  search: z.string().max(100).optional().openapi({ description: "Part of the name or label.", example: "web" }),
  troubled: Flag.optional().openapi({
    description: "true: only hosts that are away, behind, not enforcing, quarantined or report problems.",
    example: "false",
  }),
});
const HostParam = z.object({ host: TokenName.openapi({ example: "web-1" }) });

const HostChange = z
  .strictObject({
    quarantined: z.boolean().optional(),
    observe: z.boolean().optional(),
    contribute: z.boolean().optional(),
    label: z.string().trim().min(1).max(labelLengthMax).nullable().optional(),
    tenant: TokenName.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), "name what is to change")
  .openapi("HostChange", { example: { label: "shop, front end", contribute: true } });

const list = createRoute({
  method: "get",
  path: "/hosts",
  summary: "List hosts with their state",
  request: { query: HostParams },
  ...needs(leastRoles.hosts),
  responses: { 200: json(pageOf(Host), "A page of hosts by name."), ...problems },
});
const one = createRoute({
  method: "get",
  path: "/hosts/{host}",
  summary: "One host",
  request: { params: HostParam },
  ...needs(leastRoles.host),
  responses: { 200: tagged(Host, "The host."), ...problems },
});
const change = createRoute({
  method: "patch",
  path: "/hosts/{host}",
  summary: "Change a host: label, observe, contribute, quarantine, tenant",
  description:
    "What is not named stays. `observe`: it receives orders and enforces none. `contribute: false`: its failures are not taken. `quarantined`: its failures are evidence only. `tenant` moves it; needs an admin of the fleet.",
  request: { params: HostParam, query: ReasonedWriteParams, headers: EditHeaders, ...body(HostChange) },
  ...needs(leastRoles.changeHost),
  responses: { 200: tagged(Host, "The host as it is now."), ...problems, ...stale },
});
const revoke = createRoute({
  method: "delete",
  path: "/hosts/{host}",
  summary: "Revoke a host: its credentials are worthless from now on",
  request: { params: HostParam, query: ReasonedWriteParams, headers: EditHeaders },
  ...needs(leastRoles.revokeHost),
  responses: { 200: tagged(Host, "The host, revoked."), ...problems, ...stale },
});

export function hostRoutes(desk: Desk) {
  return newApi()
    .openapi(list, async (context) => {
      const { troubled, ...query } = context.req.valid("query");
      const page = await desk.hosts(context.get("principal"), { ...query, troubled: troubled === "true" });
      return context.json({ items: page.items.map(showHost), next: page.next }, 200);
    })
    .openapi(one, async (context) => {
      const host = await desk.host(context.get("principal"), context.req.valid("param").host);
      return context.json(showHost(host), 200, { etag: quoted(host.etag) });
    })
    .openapi(change, async (context) => {
      const options = optionsOf(context.req.valid("query"), context.req.valid("header"));
      const { host: name } = context.req.valid("param");
      const host = await desk.changeHost(context.get("principal"), name, context.req.valid("json"), options);
      return context.json(showHost(host), 200, { etag: quoted(host.etag) });
    })
    .openapi(revoke, async (context) => {
      const options = optionsOf(context.req.valid("query"), context.req.valid("header"));
      const host = await desk.revokeHost(context.get("principal"), context.req.valid("param").host, options);
      return context.json(showHost(host), 200, { etag: quoted(host.etag) });
    });
}
