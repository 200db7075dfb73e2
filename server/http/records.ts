import { createRoute, z } from "@hono/zod-openapi";
import type { TypedResponse } from "hono";
import { stream } from "hono/streaming";
import type { Desk } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { IdempotencyKey, json, needs, optionsOf, problems, WriteParams } from "./routes.ts";
import { Net, Reason } from "./schemas.ts";

export const Erased = z
  .object({
    net: z.string(),
    ...{ failures: z.int(), counts: z.int(), bans: z.int(), stopped: z.int(), localBans: z.int(), approvals: z.int() },
  })
  .openapi("Erased", {
    example: {
      net: "192.0.2.1/32",
      ...{ failures: 12, counts: 3, bans: 1, stopped: 0, localBans: 1, approvals: 0 },
    },
  });

const copy = createRoute({
  method: "get",
  path: "/records",
  summary: "A copy of everything that is kept about an address or network",
  description:
    "One JSON object a line: `kind` and `row`. For whoever asks what is known about his address. Only for tokens of the whole fleet.",
  request: { query: z.object({ net: Net }) },
  ...needs(leastRoles.records),
  responses: {
    200: { description: "The records.", content: { "application/jsonl": { schema: z.string() } } },
    ...problems,
  },
});
const erase = createRoute({
  method: "delete",
  path: "/records",
  summary: "Forget an address: lift its bans everywhere and erase what is kept about it",
  description:
    "Failures, counts, bans and their history, what was asked about it. The order log (7 days) and the audit log (12 months) keep it for their time; allow and never entries have their own verbs. At most a /24 or /48; IPv6 by /64. Only for tokens of the whole fleet.",
  request: { query: WriteParams.extend({ net: Net, reason: Reason }), headers: IdempotencyKey },
  ...needs(leastRoles.eraseRecords),
  responses: { 200: json(Erased, "How many records of each kind; in a dry run: would be erased."), ...problems },
});

export function recordRoutes(desk: Desk) {
  return newApi()
    .openapi(copy, async (context) => {
      const records = await desk.records(context.get("principal"), context.req.valid("query").net);
      context.header("content-type", "application/jsonl");
      const lines = stream(context, async (out) => {
        for await (const record of records) {
          if (out.aborted) return;
          await out.write(`${JSON.stringify(record)}\n`);
        }
      });
      // The route's types take JSON lines for JSON.
      return lines as Response & TypedResponse<string, 200, "json">;
    })
    .openapi(erase, async (context) => {
      const { net, ...query } = context.req.valid("query");
      const erased = await desk.eraseRecords(context.get("principal"), net, optionsOf(query));
      return context.json(erased, 200);
    });
}
