import { z } from "zod";
import { type Role, roles } from "../../../server/desk/desk.ts";
import type { ApiArena } from "./open-api.ts";

export const Schema = z.record(z.string(), z.unknown());
export type Schema = z.infer<typeof Schema>;
const Content = z.record(z.string(), z.object({ schema: Schema }));
const Operation = z.object({
  summary: z.string().min(1),
  "x-least-role": z.enum(roles),
  parameters: z
    .array(
      z.object({ name: z.string(), in: z.enum(["path", "query", "header"]), required: z.boolean(), schema: Schema }),
    )
    .default([]),
  requestBody: z.object({ content: Content, required: z.boolean() }).optional(),
  responses: z.record(
    z.string().regex(/^\d{3}$/),
    z.object({ description: z.string().min(1), content: Content.optional() }),
  ),
});
/** As much of OpenAPI 3.1 as the document uses; a document that uses anything else does not parse. */
export const OpenApi = z.strictObject({
  openapi: z.literal("3.1.0"),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  servers: z.array(z.object({ url: z.string() })),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  components: z.strictObject({
    securitySchemes: z.object({ token: z.object({ type: z.literal("http"), scheme: z.literal("bearer") }) }),
    schemas: z.record(z.string(), Schema),
    parameters: z.object({}).optional(),
  }),
  paths: z.record(
    z.string().startsWith("/api/v1/"),
    z.record(z.enum(["get", "post", "put", "patch", "delete"]), Operation.optional()),
  ),
  webhooks: z.object({}).optional(),
});
export type OpenApi = z.infer<typeof OpenApi>;
export type Operation = z.infer<typeof Operation>;

export async function documentOf(api: Pick<ApiArena, "ok">): Promise<OpenApi> {
  return OpenApi.parse(await api.ok("GET", "/openapi.json"));
}

/** Every operation, as `GET /bans/{id}`. */
export async function operationsOf(
  api: Pick<ApiArena, "ok">,
): Promise<readonly Readonly<{ name: string; leastRole: Role; operation: Operation }>[]> {
  const document = await documentOf(api);
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      if (operation === undefined) return [];
      const name = `${method.toUpperCase()} ${path.slice("/api/v1".length)}`;
      return [{ name, leastRole: operation["x-least-role"], operation }];
    }),
  );
}
