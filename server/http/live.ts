import { createRoute, z } from "@hono/zod-openapi";
import { streamSSE } from "hono/streaming";
import type { Desk } from "../desk/desk.ts";
import type { LiveEvent } from "../desk/desk-views.ts";
import { leastRoles } from "../desk/guard.ts";
import { newApi } from "./api.ts";
import { tooMany } from "./problem.ts";
import { needs, problems } from "./routes.ts";
import { timeOf, timeOrNull } from "./schemas.ts";

/** Proxies close connections that say nothing for a minute. */
const heartbeatMs = 20_000;
/** A reader that is slower than this is cut off; it comes back and reads the list. */
const waitingMax = 1000;
/** Streams one token may hold open. */
const streamsMax = 20;
const retryMs = 10_000;

const live = createRoute({
  method: "get",
  path: "/events",
  summary: "What happens, as it happens (server-sent events)",
  description:
    "Events `ban`, `unban`, `held`, `refused` and `quarantine`, each with one JSON object. Nothing is repeated: read the lists first, then listen.",
  ...needs(leastRoles.watch),
  responses: {
    200: { description: "A stream that does not end.", content: { "text/event-stream": { schema: z.string() } } },
    ...problems,
  },
});

export function liveRoutes(desk: Desk) {
  const open = new Map<number, number>();
  return newApi().openapi(live, (context) => {
    const principal = context.get("principal");
    const { tokenId } = principal;
    if ((open.get(tokenId) ?? 0) >= streamsMax) {
      return tooMany(context, `this token holds ${streamsMax} streams open already; close one`, retryMs);
    }
    const waiting: LiveEvent[] = [];
    let wake = Promise.withResolvers<void>();
    const stopWatching = desk.watch(principal, (event) => {
      waiting.push(event);
      wake.resolve();
    });
    open.set(tokenId, (open.get(tokenId) ?? 0) + 1);
    return streamSSE(context, async (out) => {
      const heartbeat = setInterval(() => wake.resolve(), heartbeatMs);
      out.onAbort(() => wake.resolve());
      try {
        await out.write(": listening\n\n");
        while (!out.aborted && !out.closed && waiting.length <= waitingMax) {
          await wake.promise;
          wake = Promise.withResolvers();
          if (waiting.length === 0) await out.write(": still here\n\n");
          for (const event of waiting.splice(0))
            await out.writeSSE({ event: event.kind, data: JSON.stringify(showEvent(event)) });
        }
      } finally {
        clearInterval(heartbeat);
        stopWatching();
        const left = (open.get(tokenId) ?? 1) - 1;
        if (left > 0) open.set(tokenId, left);
        else open.delete(tokenId);
      }
    });
  });
}

function showEvent({ atMs, ...event }: LiveEvent) {
  if (event.kind !== "ban") return { at: timeOf(atMs), ...event };
  const { untilMs, ...ban } = event;
  return { at: timeOf(atMs), ...ban, until: timeOrNull(untilMs) };
}
