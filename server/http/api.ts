import { OpenAPIHono } from "@hono/zod-openapi";
import type { Principal } from "../desk/desk.ts";
import { invalidRequest } from "./problem.ts";

export type ApiEnv = { Variables: { principal: Principal; requestId: string } };

/** A router whose schema errors become problems that name the field. */
export function newApi() {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
  });
}
