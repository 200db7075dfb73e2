import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { Desk } from "../desk/desk.ts";
import type { ApiEnv } from "./api.ts";
import { problem } from "./problem.ts";
import { IdempotencyKey } from "./routes.ts";

const writes = new Set(["POST", "PUT", "PATCH", "DELETE"]);
/** Their answers hold a secret, which is shown once and kept nowhere. */
const secret = /\/(?:tokens|enrollment-tokens)$/;

/** A write that comes again with its key is answered from what the first one was answered, and not done again. */
export function repeatable(desk: Desk): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const { req } = context;
    const given = req.header("idempotency-key");
    if (given === undefined || !writes.has(req.method)) return await next();
    const key = IdempotencyKey.safeParse({ "idempotency-key": given }).data?.["idempotency-key"];
    if (key === undefined) return problem(context, 400, "idempotency-key: must be 1 to 100 visible characters");
    const principal = context.get("principal");
    const { pathname, search } = new URL(req.url);
    const hash = createHash("sha256")
      .update(`${req.method} ${pathname}${search}\n`)
      .update(await req.text());
    const known = await desk.startOnce(principal, key, hash.digest("hex"));
    if (known.kind === "other") {
      return problem(context, 422, "idempotency-key: was used with another request; take a new key for each write");
    }
    if (known.kind === "running") {
      return problem(context, 409, "a write with this key was begun and not finished; look whether it was done");
    }
    if (known.kind === "done") {
      context.header("idempotency-replayed", "true");
      if (known.body === null && secret.test(pathname)) {
        return problem(context, 409, "this token was made by the first request and is shown only once");
      }
      if (known.etag !== null) context.header("etag", known.etag);
      if (known.body === null) return context.body(null, 204);
      return context.newResponse(known.body, known.status as 200, { "content-type": "application/json" });
    }
    await next();
    const { res } = context;
    // What was refused or failed was not done, and may be tried again.
    if (res.status >= 400) return await desk.finishOnce(principal, key, null);
    const text = secret.test(pathname) || res.status === 204 ? null : await res.clone().text();
    return await desk.finishOnce(principal, key, { status: res.status, body: text, etag: res.headers.get("etag") });
  };
}
