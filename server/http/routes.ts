import { z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import type { Role } from "../desk/desk.ts";
import type { WriteOptions } from "../desk/desk-views.ts";
import { requireRole } from "../desk/guard.ts";
import type { ApiEnv } from "./api.ts";
import { Problem } from "./problem.ts";
import { Reason } from "./schemas.ts";

/** A JSON answer for `createRoute`. */
export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { "application/json": { schema } },
  description,
});

/** The same with the name of the state it shows. */
export const tagged = <T extends z.ZodType>(schema: T, description: string) => ({
  ...json(schema, description),
  headers: z.object({ etag: z.string().openapi({ description: "Send it back as If-Match with a change." }) }),
});

const problemBody = { content: { "application/problem+json": { schema: Problem } } };

/** What every route may answer when it does not answer what was asked. */
export const problems = {
  400: { ...problemBody, description: "The request does not fit; `detail` names the field and the remedy." },
  401: { ...problemBody, description: "No valid token." },
  403: { ...problemBody, description: "The token's role or tenant does not allow this." },
  404: { ...problemBody, description: "There is no such thing, or not for this token." },
  409: { ...problemBody, description: "It conflicts with what is there." },
  429: { ...problemBody, description: "Asked too often; `Retry-After` says when to come back." },
  503: { ...problemBody, description: "The database or the bus is away; try again." },
} as const;

/** For edits besides. */
export const stale = {
  412: { ...problemBody, description: "It has changed since the state `If-Match` names." },
} as const;

export const body = <T extends z.ZodType>(schema: T) => ({
  body: { content: { "application/json": { schema } }, required: true },
});

/** Who may: shown in the document, looked at before the request is read. The desk looks once more. */
export function needs(least: Role) {
  const middleware: MiddlewareHandler<ApiEnv> = async (context, next) => {
    requireRole(context.get("principal"), least);
    await next();
  };
  return { "x-least-role": least, middleware };
}

export const IdempotencyKey = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,100}$/, "must be 1 to 100 visible characters")
    .optional()
    .openapi({
      description: "The same write with the same key within 24 h is done once and answered alike.",
      example: "3f0c1f4e-ticket-4711",
    }),
});
export const EditHeaders = IdempotencyKey.extend({
  "if-match": z
    .string()
    .max(100)
    .optional()
    .openapi({ description: "The ETag of what was read; refused with 412 when it has changed." }),
});

export const DryRun = z
  .enum(["true", "false"])
  .optional()
  .openapi({ description: "true: checks everything, says what would happen and changes nothing.", example: "false" });
export const WriteParams = z.object({ dryRun: DryRun });
export const ReasonedWriteParams = WriteParams.extend({
  reason: Reason.optional().openapi({ description: "Why; for the audit log.", example: "ticket 4711" }),
});

type Asked = Readonly<{ dryRun?: "true" | "false" | undefined; reason?: string | undefined }>;
type Headers = Readonly<{ "if-match"?: string | undefined }>;

export function optionsOf({ dryRun, reason }: Asked, headers: Headers = {}): WriteOptions {
  const ifMatch = headers["if-match"]?.replace(/^(?:W\/)?"(.*)"$/, "$1");
  return { dryRun: dryRun === "true", reason: reason ?? null, ifMatch };
}

export const quoted = (etag: string): string => `"${etag}"`;
