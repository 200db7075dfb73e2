import { serve } from "@hono/node-server";
import type { Hono } from "hono";
import { Fleet2banError, messageOf } from "../shared/errors.ts";

/** Whatever answers requests. */
export type Surface = Pick<Hono, "fetch">;

export type Front = AsyncDisposable &
  Readonly<{
    /** From now on this one answers. */
    show(surface: Surface): void;
    /** @returns the address, with the port that was given to us */
    listen(): Promise<string>;
  }>;

/** The one port of API, dashboard and metrics. What stands behind it may change while it is open. */
export function openFront({ host, port }: Readonly<{ host: string; port: number }>): Front {
  let current: Surface = { fetch: () => new Response("starting", { status: 503 }) };
  let server: ReturnType<typeof serve> | undefined;
  return {
    show(surface) {
      current = surface;
    },
    async listen() {
      const listening = Promise.withResolvers<number>();
      server = serve({ fetch: (request, env) => current.fetch(request, env), hostname: host, port }, (address) =>
        listening.resolve(address.port),
      );
      server.on("error", (cause) => {
        const sentence = `cannot listen on ${host}:${port}: ${messageOf(cause)}; choose another address with --http`;
        listening.reject(new Fleet2banError("unavailable", sentence, { cause }));
      });
      const boundPort = await listening.promise;
      return `http://${host.includes(":") ? `[${host}]` : host}:${boundPort}`;
    },
    async [Symbol.asyncDispose]() {
      const closed = server;
      if (closed === undefined) return;
      if ("closeAllConnections" in closed) closed.closeAllConnections();
      await new Promise((resolve) => closed.close(resolve));
    },
  };
}
