import type { MiddlewareHandler } from "hono";
import { problem } from "./problem.ts";

const readable = /^(?:application\/(?:[a-z.+-]+\+)?(?:json|yaml|x-yaml)|text\/(?:yaml|plain))(?:;|$)/i;

/**
 * Bodies are taken as they are: a compressed one could unfold to any size. And one in a form we do not read is named
 * as the mistake, not its missing fields.
 */
export const refuseStrangeBodies: MiddlewareHandler = async (context, next) => {
  const encoding = context.req.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    return problem(context, 415, `content-encoding: ${encoding.slice(0, 20)} is not taken; send the body as it is`);
  }
  const type = context.req.header("content-type");
  if (type !== undefined && context.req.method !== "GET" && !readable.test(type)) {
    return problem(context, 415, "content-type: send application/json (a policy also as application/yaml)");
  }
  return await next();
};
