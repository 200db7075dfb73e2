import type { MiddlewareHandler } from "hono";
import type { Desk } from "../desk/desk.ts";
import type { ApiEnv } from "./api.ts";
import { problem } from "./problem.ts";

/** Bearer tokens as RFC 6750 writes them; ours start with `f2b_`. */
const bearer = /^Bearer (f2b_[A-Za-z0-9_-]{20,200})$/;

export function requireToken(desk: Desk): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const token = bearer.exec(context.req.header("authorization") ?? "")?.[1];
    if (token === undefined) {
      context.header("www-authenticate", 'Bearer realm="fleet2ban"');
      return problem(
        context,
        401,
        "send `Authorization: Bearer f2b_…`; an admin makes tokens with `fleet2ban token create`",
      );
    }
    const principal = await desk.principalOf(token);
    if (principal === undefined) {
      context.header("www-authenticate", 'Bearer realm="fleet2ban", error="invalid_token"');
      return problem(context, 401, "this token is unknown, expired or revoked; ask an admin for a new one");
    }
    context.set("principal", { ...principal, requestId: context.get("requestId") });
    return await next();
  };
}
