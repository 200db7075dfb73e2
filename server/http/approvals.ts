import { createRoute, z } from "@hono/zod-openapi";
import { formatDurationMs } from "../../shared/durations.ts";
import type { Desk } from "../desk/desk.ts";
import type { ApprovalView } from "../desk/desk-views.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { IdempotencyKey, json, needs, optionsOf, problems, ReasonedWriteParams } from "./routes.ts";
import { Flag, IdParam, PageParams, pageOf, Time, timeOf, timeOrNull } from "./schemas.ts";

export const Approval = z
  .object({
    id: z.int(),
    kind: z.enum(["ban", "allow"]),
    net: z.string(),
    scope: z.string(),
    /** null = for ever. */
    duration: z.string().nullable(),
    ports: z.array(z.int()).nullable(),
    why: z.string(),
    reason: z.string(),
    askedBy: z.string(),
    asked: Time,
    until: Time,
    state: z.enum(["waiting", "approved", "rejected", "expired"]),
    decidedBy: z.string().nullable(),
    decided: Time.nullable(),
    decidedNote: z.string().nullable(),
    made: z.int().nullable(),
    mayApprove: z.boolean(),
  })
  .openapi("Approval");

/** For routes that may need a second admin. */
export const waits = {
  202: json(Approval, "Wider than one admin may make it: nothing holds until a second one approves it."),
};

const list = createRoute({
  method: "get",
  path: "/approvals",
  summary: "Bans and allows that wait for a second admin, newest first",
  request: {
    query: PageParams.extend({ waiting: Flag.default("true").openapi({ description: "false: decided ones too." }) }),
  },
  ...needs(leastRoles.approvals),
  responses: { 200: json(pageOf(Approval), "A page of requests."), ...problems },
});
const one = createRoute({
  method: "get",
  path: "/approvals/{id}",
  summary: "One request, and what became of it",
  request: { params: IdParam },
  ...needs(leastRoles.approval),
  responses: { 200: json(Approval, "The request."), ...problems },
});
const approve = createRoute({
  method: "post",
  path: "/approvals/{id}/approve",
  summary: "Do what another admin asked for",
  description: "Refused to whoever asked. `made` is the id of the ban, or of the entry of the allow list.",
  request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.approve),
  responses: { 200: json(Approval, "The request; what it asked for holds."), ...problems },
});
const reject = createRoute({
  method: "post",
  path: "/approvals/{id}/reject",
  summary: "Say no to a request, or take back one's own",
  request: { params: IdParam, query: ReasonedWriteParams, headers: IdempotencyKey },
  ...needs(leastRoles.reject),
  responses: { 200: json(Approval, "The request; nothing came of it."), ...problems },
});

export function approvalRoutes(desk: Desk) {
  return newApi()
    .openapi(list, async (context) => {
      const { waiting, ...page } = context.req.valid("query");
      const found = await desk.approvals(context.get("principal"), { ...page, waiting: waiting === "true" });
      return context.json({ items: found.items.map(showApproval), next: found.next }, 200);
    })
    .openapi(one, async (context) => {
      const { id } = context.req.valid("param");
      return context.json(showApproval(await desk.approval(context.get("principal"), id)), 200);
    })
    .openapi(approve, async (context) => {
      const { id } = context.req.valid("param");
      const options = optionsOf(context.req.valid("query"));
      return context.json(showApproval(await desk.approve(context.get("principal"), id, options)), 200);
    })
    .openapi(reject, async (context) => {
      const { id } = context.req.valid("param");
      const options = optionsOf(context.req.valid("query"));
      return context.json(showApproval(await desk.reject(context.get("principal"), id, options)), 200);
    });
}

export function showApproval({ spanMs, askedMs, untilMs, decidedMs, madeId, ports, ...rest }: ApprovalView) {
  return {
    ...rest,
    ports: ports === null ? null : [...ports],
    duration: spanMs === null ? null : formatDurationMs(spanMs),
    asked: timeOf(askedMs),
    until: timeOf(untilMs),
    decided: timeOrNull(decidedMs),
    made: madeId,
  };
}
