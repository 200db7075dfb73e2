import { createRoute, z } from "@hono/zod-openapi";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import type { PolicyTrial, PolicyView, TrialBan } from "../desk/policy-views.ts";
import { newApi } from "./api.ts";
import { EditHeaders, json, needs, optionsOf, problems, quoted, ReasonedWriteParams, stale, tagged } from "./routes.ts";
import { PageParams, pageOf, Time, timeOf, timeOrNull } from "./schemas.ts";

/** Raw failures are kept for so long. */
const trialDaysMax = 30;

export const Policy = z
  .object({
    version: z.int(),
    document: z.string(),
    effective: z.string(),
    created: Time.nullable(),
    by: z.string(),
    etag: z.string(),
  })
  .openapi("Policy");
export const PolicyVersion = z
  .object({ version: z.int(), created: Time, by: z.string(), current: z.boolean() })
  .openapi("PolicyVersion");
const Tried = z.object({
  net: z.string(),
  scope: z.string(),
  at: Time,
  level: z.int(),
  until: Time.nullable(),
  reason: z.string(),
});
export const Trial = z
  .object({
    days: z.number(),
    failures: z.int(),
    truncated: z.boolean(),
    from: Time,
    bansBefore: z.int(),
    bansAfter: z.int(),
    adds: z.object({ count: z.int(), first: z.array(Tried) }),
    removes: z.object({ count: z.int(), first: z.array(Tried) }),
    changes: z.object({ count: z.int(), first: z.array(z.object({ before: Tried, after: Tried })) }),
  })
  .openapi("PolicyTrial");

const exampleYaml = "jails:\n  sshd: { findtime: 1h, maxretry: 5, ports: [22] }\n";
const document = {
  body: {
    required: true,
    description: "Complete, or only what differs from the defaults. YAML, or the same as JSON.",
    content: {
      "application/yaml": { schema: z.string().openapi({ example: exampleYaml }) },
      "application/json": {
        schema: z
          .record(z.string(), z.unknown())
          .openapi("PolicyDocument", { example: { jails: { sshd: { findtime: "1h", maxretry: 5, ports: [22] } } } }),
      },
    },
  },
};

const current = createRoute({
  method: "get",
  path: "/policy",
  summary: "The policy in force",
  description: "`document` is what was written, `effective` everything that holds, defaults included.",
  ...needs(leastRoles.policy),
  responses: { 200: tagged(Policy, "The policy."), ...problems },
});
const put = createRoute({
  method: "put",
  path: "/policy",
  summary: "Put a new version of the policy in force",
  request: { query: ReasonedWriteParams, headers: EditHeaders, ...document },
  ...needs(leastRoles.setPolicy),
  responses: { 200: tagged(Policy, "The new version, in force from the next failure on."), ...problems, ...stale },
});
const trial = createRoute({
  method: "post",
  path: "/policy/trial",
  summary: "What this policy would have done with the failures of the last days",
  description: "Runs what was recorded through the policy in force and this one, and says what would differ.",
  request: {
    query: z.object({
      days: z.coerce.number().min(0.01).max(trialDaysMax).default(7).openapi({ type: "number", example: 7 }),
    }),
    ...document,
  },
  ...needs(leastRoles.tryPolicy),
  responses: { 200: json(Trial, "Bans it adds, removes and changes; the first 20 of each by name."), ...problems },
});
const versions = createRoute({
  method: "get",
  path: "/policy/versions",
  summary: "Every version of the policy, newest first",
  request: { query: PageParams },
  ...needs(leastRoles.policyVersions),
  responses: { 200: json(pageOf(PolicyVersion), "A page of versions."), ...problems },
});
const version = createRoute({
  method: "get",
  path: "/policy/versions/{version}",
  summary: "One version of the policy; 0 is the built-in one",
  request: {
    params: z.object({
      version: z.coerce.number().int().min(0).max(2_147_483_647).openapi({ type: "integer", example: 0 }),
    }),
  },
  ...needs(leastRoles.policyVersion),
  responses: { 200: json(Policy, "The version."), ...problems },
});
const revert = createRoute({
  method: "post",
  path: "/policy/revert",
  summary: "Put the version before the one in force in force again",
  request: { query: ReasonedWriteParams, headers: EditHeaders },
  ...needs(leastRoles.revertPolicy),
  responses: { 200: tagged(Policy, "The new version, with the old document."), ...problems, ...stale },
});

export const TrialProgress = z
  .object({ done: z.int(), total: z.int() })
  .nullable()
  .openapi("TrialProgress", { example: { done: 5000, total: 20_000 } });
const progress = createRoute({
  method: "get",
  path: "/policy/trial",
  summary: "How far the trial that runs now has come",
  ...needs(leastRoles.trialProgress),
  responses: { 200: json(TrialProgress, "Failures judged, of those there are; null when no trial runs."), ...problems },
});

export function policyRoutes(desk: Desk) {
  return newApi()
    .openapi(progress, async (context) => context.json(await desk.trialProgress(context.get("principal")), 200))
    .openapi(current, async (context) => {
      const policy = await desk.policy(context.get("principal"));
      return context.json(showPolicy(policy), 200, { etag: quoted(policy.etag) });
    })
    .openapi(put, async (context) => {
      const options = optionsOf(context.req.valid("query"), context.req.valid("header"));
      const policy = await desk.setPolicy(context.get("principal"), await context.req.text(), options);
      return context.json(showPolicy(policy), 200, { etag: quoted(policy.etag) });
    })
    .openapi(trial, async (context) => {
      const { days } = context.req.valid("query");
      const result = await desk.tryPolicy(context.get("principal"), await context.req.text(), days);
      return context.json(showTrial(result), 200);
    })
    .openapi(versions, async (context) => {
      const page = await desk.policyVersions(context.get("principal"), context.req.valid("query"));
      const items = page.items.map(({ createdMs, ...each }) => ({ ...each, created: timeOf(createdMs) }));
      return context.json({ items, next: page.next }, 200);
    })
    .openapi(version, async (context) => {
      const policy = await desk.policyVersion(context.get("principal"), context.req.valid("param").version);
      return context.json(showPolicy(policy), 200);
    })
    .openapi(revert, async (context) => {
      const options = optionsOf(context.req.valid("query"), context.req.valid("header"));
      const policy = await desk.revertPolicy(context.get("principal"), options);
      return context.json(showPolicy(policy), 200, { etag: quoted(policy.etag) });
    });
}

function showPolicy({ createdMs, ...policy }: PolicyView) {
  return { ...policy, created: timeOrNull(createdMs) };
}

function showTried({ atMs, untilMs, ...ban }: TrialBan) {
  return { ...ban, at: timeOf(atMs), until: timeOrNull(untilMs) };
}

function showTrial({ fromMs, adds, removes, changes, ...trial }: PolicyTrial) {
  return {
    ...trial,
    from: timeOf(fromMs),
    adds: { count: adds.count, first: adds.first.map(showTried) },
    removes: { count: removes.count, first: removes.first.map(showTried) },
    changes: {
      count: changes.count,
      first: changes.first.map(({ before, after }) => ({ before: showTried(before), after: showTried(after) })),
    },
  };
}
