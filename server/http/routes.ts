import type { z } from "@hono/zod-openapi";
import { Problem } from "./problem.ts";

/** A JSON answer for `createRoute`. */
export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { "application/json": { schema } },
  description,
});

const problemBody = { content: { "application/problem+json": { schema: Problem } } };

/** What every route may answer when it does not answer what was asked. */
export const problems = {
  400: { ...problemBody, description: "The request does not fit; `detail` names the field and the remedy." },
  401: { ...problemBody, description: "No valid token." },
  403: { ...problemBody, description: "The token's role or tenant does not allow this." },
  404: { ...problemBody, description: "There is no such thing, or not for this token." },
  409: { ...problemBody, description: "It conflicts with what is there." },
  503: { ...problemBody, description: "The database or the bus is away; try again." },
} as const;

export const body = <T extends z.ZodType>(schema: T) => ({
  body: { content: { "application/json": { schema } }, required: true },
});
