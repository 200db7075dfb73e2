import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { type ErrorCode, Fleet2banError } from "../../shared/errors.ts";
import { LimitError, StaleError } from "../refusals.ts";

/** One error, as RFC 9457 wants it. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    requestId: z.string().optional(),
  })
  .meta({ id: "Problem" });

type Status = 400 | 401 | 403 | 404 | 409 | 412 | 413 | 415 | 422 | 429 | 500 | 503;
const statusOfCode: Readonly<Record<ErrorCode, Status>> = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  forbidden: 403,
  unavailable: 503,
  internal: 500,
};
const titles: Readonly<Record<Status, string>> = {
  400: "Bad request",
  401: "Not authenticated",
  403: "Forbidden",
  404: "Not found",
  409: "Conflict",
  412: "Precondition failed",
  413: "Too large",
  415: "Unsupported media type",
  422: "Unprocessable",
  429: "Too many requests",
  500: "Internal error",
  503: "Unavailable",
};

export function problem(context: Context, status: Status, detail: string): Response {
  const requestId = context.get("requestId");
  const body = { type: "about:blank", title: titles[status], status, detail, ...(requestId ? { requestId } : {}) };
  return context.body(JSON.stringify(body), status, { "content-type": "application/problem+json" });
}

/** Turns whatever a route threw into a problem. Only our own sentences are shown; the rest goes to `report`. */
export function problemOf(context: Context, error: unknown, report: (error: unknown) => void): Response {
  if (error instanceof StaleError) return problem(context, 412, error.message);
  if (error instanceof LimitError) return tooMany(context, error.message, error.retryAfterMs);
  if (error instanceof Fleet2banError) {
    if (error.code === "internal" || error.code === "unavailable") report(error);
    return problem(context, statusOfCode[error.code], error.message);
  }
  if (error instanceof HTTPException) {
    const status = error.status in titles ? (error.status as Status) : 400;
    return problem(context, status, error.message);
  }
  report(error);
  return problem(
    context,
    500,
    "Something unexpected happened; the coordinator's log has the details under this request id.",
  );
}

export function tooMany(context: Context, detail: string, retryAfterMs: number): Response {
  context.header("retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
  return problem(context, 429, detail);
}

/** The sentence for a request that does not fit its schema: which field, and what it should be. */
export function invalidRequest(error: z.ZodError): Fleet2banError {
  const parts = error.issues.map((issue) => `${issue.path.join(".") || "request"}: ${issue.message}`);
  return new Fleet2banError("invalid", parts.join("; "));
}
