import type { MiddlewareHandler } from "hono";
import type { ApiEnv } from "./api.ts";
import { tooMany } from "./problem.ts";

/** What one token may ask for. A control panel with a page per customer stays far below; a loop gone wrong does not. */
export type RateLimit = Readonly<{ perSecond: number; burst: number }>;
export const rateLimitDefault: RateLimit = { perSecond: 50, burst: 500 };
/** Tokens counted at once; those that are quiet are forgotten first. */
const bucketsMax = 10_000;

/** A bucket per token. In memory: what matters is the second, not the restart. */
export function limitRate({ perSecond, burst }: RateLimit): MiddlewareHandler<ApiEnv> {
  const buckets = new Map<number, { left: number; atMs: number }>();
  return async (context, next) => {
    const { tokenId } = context.get("principal");
    const nowMs = performance.now();
    const known = buckets.get(tokenId) ?? { left: burst, atMs: nowMs };
    const left = Math.min(burst, known.left + ((nowMs - known.atMs) / 1000) * perSecond);
    const isAllowed = left >= 1;
    // Deleted first, so that the map's order is that of the last use.
    buckets.delete(tokenId);
    buckets.set(tokenId, { left: isAllowed ? left - 1 : left, atMs: nowMs });
    const [quietest] = buckets.keys();
    if (buckets.size > bucketsMax && quietest !== undefined) buckets.delete(quietest);
    if (isAllowed) return await next();
    const waitMs = ((1 - left) / perSecond) * 1000;
    return tooMany(context, `more than ${perSecond} requests a second with this token; wait and slow down`, waitMs);
  };
}
