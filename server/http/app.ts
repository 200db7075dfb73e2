import { randomUUID } from "node:crypto";
import { bodyLimit } from "hono/body-limit";
import type { Desk } from "../desk/desk.ts";
import type { Logger } from "../logger.ts";
import { type Api, newApi } from "./api.ts";
import { requireToken } from "./auth.ts";
import { banRoutes } from "./bans.ts";
import { explainRoutes } from "./explain.ts";
import { hostRoutes } from "./hosts.ts";
import { problem, problemOf } from "./problem.ts";
import { ruleRoutes } from "./rules.ts";
import { statusRoutes } from "./status.ts";
import { tenantRoutes } from "./tenants.ts";
import { tokenRoutes } from "./tokens.ts";

/** The largest request anyone has reason to send is an edited policy. */
const bodyBytesMax = 256 * 1024;

/**
 * The coordinator's HTTP surface. It owns no state: every answer comes from the desk.
 *
 * @param metrics  the text of `/metrics`, in Prometheus' format
 */
export function createApp(desk: Desk, log: Logger, metrics: () => Promise<string>): Api {
  const app = newApi();
  app.use("*", async (context, next) => {
    context.set("requestId", randomUUID());
    await next();
    context.header("x-request-id", context.get("requestId"));
  });
  app.use(
    "*",
    bodyLimit({ maxSize: bodyBytesMax, onError: (c) => problem(c, 413, `the body may have ${bodyBytesMax} bytes`) }),
  );
  app.onError((error, context) =>
    problemOf(context, error, (cause) =>
      log.error({ err: cause, requestId: context.get("requestId") }, "request failed"),
    ),
  );
  app.notFound((context) =>
    problem(context, 404, `there is no ${context.req.method} ${context.req.path}; see /api/v1/openapi.json`),
  );

  app.get("/healthz", (context) => context.json({ ok: true }));
  app.get("/readyz", async (context) => {
    const health = await desk.health();
    const ok = Object.values(health).every((state) => state === "ok");
    return context.json({ ok, ...health }, ok ? 200 : 503);
  });
  app.get("/metrics", async (context) =>
    context.text(await metrics(), 200, { "content-type": "text/plain; version=0.0.4" }),
  );

  app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  app.doc31("/api/v1/openapi.json", {
    openapi: "3.1.0",
    info: { title: "fleet2ban", version: "1", description: "Bans of a whole fleet: read, explain, lift." },
    security: [{ token: [] }],
  });
  app.use("/api/v1/*", requireToken(desk));
  app.route("/api/v1", statusRoutes(desk));
  app.route("/api/v1", hostRoutes(desk));
  app.route("/api/v1", banRoutes(desk));
  app.route("/api/v1", ruleRoutes(desk));
  app.route("/api/v1", explainRoutes(desk));
  app.route("/api/v1", tenantRoutes(desk));
  app.route("/api/v1", tokenRoutes(desk));
  return app;
}
