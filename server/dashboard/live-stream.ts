import type { Context, Hono } from "hono";
import { getCookie } from "hono/cookie";
import { streamSSE } from "hono/streaming";
import { secondMs } from "../../shared/durations.ts";
import type { Principal } from "../desk/desk.ts";
import type { DashboardParts } from "./dashboard.ts";
import { cookieName } from "./serve-pages.ts";

/** Pages that listen at once; every person has one or two open. Beyond it pages still look by themselves. */
const listenersMax = 500;
/** Keeps proxies from closing a quiet connection, and finds out that a login has ended. */
const beatMs = 20 * secondMs;

/** Tells pages that something happened, not what: they ask again, and see what they may. */
export function liveStream(app: Hono, { desk, sessions, now }: DashboardParts): void {
  let listeners = 0;

  async function principalOf(context: Context): Promise<Principal | undefined> {
    const session = sessions.find(getCookie(context, cookieName) ?? "", now(), false);
    return session === undefined ? undefined : await desk.principalOf(session.token);
  }

  app.get("/live", async (context) => {
    const principal = await principalOf(context);
    // 204 tells a browser not to come back.
    if (principal === undefined) return context.body(null, 204);
    if (listeners >= listenersMax) return context.body(null, 503);
    const ended = Promise.withResolvers<void>();
    let happened = () => {};
    let unwatch: () => void;
    try {
      unwatch = desk.watch(principal, () => happened());
    } catch {
      // Nobody tells us anything here: pages look by themselves.
      return context.body(null, 204);
    }
    listeners += 1;
    context.header("cache-control", "no-store");
    return streamSSE(context, async (stream) => {
      const tell = (event: string) => void stream.writeSSE({ event, data: "" }).catch(() => ended.resolve());
      happened = () => tell("changed");
      const beat = setInterval(() => {
        tell("beat");
        principalOf(context).then(
          (still) => still === undefined && ended.resolve(),
          () => undefined,
        );
      }, beatMs);
      stream.onAbort(() => ended.resolve());
      try {
        await ended.promise;
      } finally {
        listeners -= 1;
        clearInterval(beat);
        unwatch();
      }
    });
  });
}
