import { createRoute } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { type Api, newApi } from "./api.ts";
import { json, problems } from "./routes.ts";
import { Host, PageParams, pageOf } from "./schemas.ts";
import { showHost } from "./views.ts";

const list = createRoute({
  method: "get",
  path: "/hosts",
  summary: "List hosts with their state",
  request: { query: PageParams },
  responses: { 200: json(pageOf(Host), "A page of hosts by name."), ...problems },
});

export function hostRoutes(desk: Desk): Api {
  const api = newApi();
  api.openapi(list, async (context) => {
    const page = await desk.hosts(context.get("principal"), context.req.valid("query"));
    return context.json({ items: page.items.map(showHost), next: page.next }, 200);
  });
  return api;
}
