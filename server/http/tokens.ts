import { createRoute, z } from "@hono/zod-openapi";
import { dayMs } from "../../shared/durations.ts";
import type { ApiTokenView, Desk } from "../desk/desk.ts";
import type { EnrollmentTokenView } from "../desk/desk-views.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { body, IdempotencyKey, json, needs, optionsOf, problems, ReasonedWriteParams } from "./routes.ts";
import {
  Duration,
  DurationOrNull,
  IdParam,
  PageParams,
  pageOf,
  RoleName,
  Time,
  TokenName,
  timeOf,
  timeOrNull,
} from "./schemas.ts";

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
export const ListedEnrollmentToken = z
  .object({
    id: z.int(),
    tenant: z.string(),
    host: z.string().nullable(),
    usesLeft: z.int(),
    created: Time,
    by: z.string(),
    until: Time,
    ended: z.boolean(),
  })
  .openapi("ListedEnrollmentToken");

const NewApiToken = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    role: RoleName,
    tenant: TokenName.nullable().default(null),
    duration: DurationOrNull.default(null),
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

const listEnrollment = createRoute({
  method: "get",
  path: "/enrollment-tokens",
  summary: "List enrolment tokens, without their secrets, newest first",
  request: { query: PageParams },
  ...needs(leastRoles.enrollmentTokens),
  responses: { 200: json(pageOf(ListedEnrollmentToken), "A page of tokens."), ...problems },
});
const enroll = createRoute({
  method: "post",
  path: "/enrollment-tokens",
  summary: "Make a token with which hosts enrol",
  request: { query: ReasonedWriteParams, headers: IdempotencyKey, ...body(NewEnrollmentToken) },
  ...needs(leastRoles.addEnrollmentToken),
  responses: { 201: json(EnrollmentToken, "Shown once."), ...problems },
});
const revokeEnrollment = createRoute({
  method: "delete",
  path: "/enrollment-tokens/{id}",
  summary: "Revoke an enrolment token; hosts that enrolled with it stay",
  request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.revokeEnrollmentToken),
  responses: { 204: { description: "Revoked." }, ...problems },
});
const list = createRoute({
  method: "get",
  path: "/tokens",
  summary: "List API tokens, without their secrets",
  ...needs(leastRoles.apiTokens),
  responses: { 200: json(z.object({ items: z.array(ApiToken) }), "Every token this token may see."), ...problems },
});
const create = createRoute({
  method: "post",
  path: "/tokens",
  summary: "Make an API token",
  request: { query: ReasonedWriteParams, headers: IdempotencyKey, ...body(NewApiToken) },
  ...needs(leastRoles.addApiToken),
  responses: { 201: json(ApiToken.extend({ token: z.string() }), "The secret is shown once."), ...problems },
});
const revoke = createRoute({
  method: "delete",
  path: "/tokens/{id}",
  summary: "Revoke an API token",
  request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.revokeApiToken),
  responses: { 204: { description: "Revoked; the next request with it is refused." }, ...problems },
});

export function tokenRoutes(desk: Desk) {
  return newApi()
    .openapi(listEnrollment, async (context) => {
      const page = await desk.enrollmentTokens(context.get("principal"), context.req.valid("query"));
      return context.json({ items: page.items.map(showEnrollment), next: page.next }, 200);
    })
    .openapi(enroll, async (context) => {
      const { duration, ...request } = context.req.valid("json");
      const asked = { ...request, durationMs: duration ?? dayMs };
      const options = optionsOf(context.req.valid("query"));
      const { untilMs, ...token } = await desk.addEnrollmentToken(context.get("principal"), asked, options);
      return context.json({ ...token, until: timeOf(untilMs) }, 201);
    })
    .openapi(revokeEnrollment, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      await desk.revokeEnrollmentToken(context.get("principal"), context.req.valid("param").id, options);
      return context.body(null, 204);
    })
    .openapi(list, async (context) => {
      const tokens = await desk.apiTokens(context.get("principal"));
      return context.json({ items: tokens.map(showToken) }, 200);
    })
    .openapi(create, async (context) => {
      const { duration, ...request } = context.req.valid("json");
      const options = optionsOf(context.req.valid("query"));
      const asked = { ...request, durationMs: duration };
      const { token, ...view } = await desk.addApiToken(context.get("principal"), asked, options);
      return context.json({ ...showToken(view), token }, 201);
    })
    .openapi(revoke, async (context) => {
      const options = optionsOf(context.req.valid("query"));
      await desk.revokeApiToken(context.get("principal"), context.req.valid("param").id, options);
      return context.body(null, 204);
    });
}

function showEnrollment({ createdMs, untilMs, ...token }: EnrollmentTokenView) {
  return { ...token, created: timeOf(createdMs), until: timeOf(untilMs) };
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
