import { createRoute, z } from "@hono/zod-openapi";
import { dayMs } from "../../shared/durations.ts";
import type { ApiTokenView, Desk } from "../desk/desk.ts";
import { type Api, newApi } from "./api.ts";
import { requireRole } from "./auth.ts";
import { body, json, problems } from "./routes.ts";
import { Duration, RoleName, Time, TokenName, timeOf, timeOrNull } from "./schemas.ts";

/** One rollout's worth of hosts; more is a new token, so that a leaked one stays small. */
const enrollmentUsesMax = 10_000;

const NewEnrollmentToken = z
  .strictObject({
    tenant: TokenName.default("default"),
    /** The host's name; only with one use. Absent: the host proposes its own. */
    host: TokenName.nullable().default(null),
    uses: z.int().min(1).max(enrollmentUsesMax).default(1),
    duration: Duration.optional(),
  })
  .openapi("NewEnrollmentToken", { example: { tenant: "default", uses: 1, duration: "1h" } });
export const EnrollmentToken = z
  .object({ token: z.string(), tenant: z.string(), uses: z.int(), until: Time })
  .openapi("EnrollmentToken");

const NewApiToken = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    role: RoleName,
    tenant: TokenName.nullable().default(null),
    duration: Duration.nullable().default(null),
  })
  .openapi("NewApiToken", { example: { name: "control panel", role: "operator", tenant: null, duration: "90d" } });
export const ApiToken = z
  .object({
    id: z.int(),
    name: z.string(),
    role: RoleName,
    tenant: z.string().nullable(),
    created: Time,
    until: Time.nullable(),
    lastUsed: Time.nullable(),
    revoked: Time.nullable(),
  })
  .openapi("ApiToken");

const enroll = createRoute({
  method: "post",
  path: "/enrollment-tokens",
  summary: "Make a token with which hosts enrol",
  request: body(NewEnrollmentToken),
  responses: { 201: json(EnrollmentToken, "Shown once."), ...problems },
});
const list = createRoute({
  method: "get",
  path: "/tokens",
  summary: "List API tokens, without their secrets",
  responses: { 200: json(z.object({ items: z.array(ApiToken) }), "Every token this token may see."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/tokens",
  summary: "Make an API token",
  request: body(NewApiToken),
  responses: { 201: json(ApiToken.extend({ token: z.string() }), "The secret is shown once."), ...problems },
});
const revoke = createRoute({
  method: "delete",
  path: "/tokens/{id}",
  summary: "Revoke an API token",
  request: { params: z.object({ id: z.coerce.number().int().positive() }) },
  responses: { 204: { description: "Revoked; the next request with it is refused." }, ...problems },
});

export function tokenRoutes(desk: Desk): Api {
  const api = newApi();
  api.openapi(enroll, async (context) => {
    const principal = requireRole(context.get("principal"), "operator");
    const { duration, ...request } = context.req.valid("json");
    const { untilMs, ...token } = await desk.addEnrollmentToken(principal, {
      ...request,
      durationMs: duration ?? dayMs,
    });
    return context.json({ ...token, until: timeOf(untilMs) }, 201);
  });
  api.openapi(list, async (context) => {
    const tokens = await desk.apiTokens(requireRole(context.get("principal"), "admin"));
    return context.json({ items: tokens.map(showToken) }, 200);
  });
  api.openapi(create, async (context) => {
    const principal = requireRole(context.get("principal"), "admin");
    const { duration, ...request } = context.req.valid("json");
    const { token, ...view } = await desk.addApiToken(principal, { ...request, durationMs: duration });
    return context.json({ ...showToken(view), token }, 201);
  });
  api.openapi(revoke, async (context) => {
    await desk.revokeApiToken(requireRole(context.get("principal"), "admin"), context.req.valid("param").id);
    return context.body(null, 204);
  });
  return api;
}

function showToken({ createdMs, untilMs, lastUsedMs, revokedMs, ...token }: ApiTokenView) {
  return {
    ...token,
    created: timeOf(createdMs),
    until: timeOrNull(untilMs),
    lastUsed: timeOrNull(lastUsedMs),
    revoked: timeOrNull(revokedMs),
  };
}
