import { hc } from "hono/client";
import type { ApiRoutes } from "./app.ts";

/** The API for TypeScript: `client.bans.$get({ query: { active: "true" } })`, every path, parameter and answer typed. */
export function openTypedClient(server: string, token: string, fetcher: typeof fetch = fetch) {
  return hc<ApiRoutes>(new URL("/api/v1", server).href, {
    headers: { authorization: `Bearer ${token}` },
    fetch: fetcher,
  });
}
