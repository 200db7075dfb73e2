import { randomUUID } from "node:crypto";
import { bodyLimit } from "hono/body-limit";
import type { Desk } from "../desk/desk.ts";
import type { Logger } from "../logger.ts";
import { newApi } from "./api.ts";
import { approvalRoutes } from "./approvals.ts";
import { auditRoutes } from "./audit.ts";
import { requireToken } from "./auth.ts";
import { banRoutes } from "./bans.ts";
import { docsPage, docsStyle } from "./docs-page.ts";
import { explainRoutes } from "./explain.ts";
import { exportRoutes } from "./exports.ts";
import { feedRoutes } from "./feeds.ts";
import { heldRoutes } from "./held.ts";
import { hostRoutes } from "./hosts.ts";
import { repeatable } from "./idempotency.ts";
import { liftRoutes } from "./lift.ts";
import { liveRoutes } from "./live.ts";
import { logRoutes } from "./logs.ts";
import { policyRoutes } from "./policy.ts";
import { problem, problemOf } from "./problem.ts";
import { limitRate, type RateLimit, rateLimitDefault } from "./rate-limit.ts";
import { recordRoutes } from "./records.ts";
import { refuseStrangeBodies } from "./request-body.ts";
import { ruleRoutes } from "./rules.ts";
import { statusRoutes } from "./status.ts";
import { tenantRoutes } from "./tenants.ts";
import { tokenRoutes } from "./tokens.ts";

/** The largest request anyone has reason to send is an edited policy. */
const bodyBytesMax = 256 * 1024;

/** Every route of version 1 below `/api/v1`, with its types. */
export function apiRoutes(desk: Desk) {
  return newApi()
    .route("/", statusRoutes(desk))
    .route("/", logRoutes(desk))
    .route("/", liveRoutes(desk))
    .route("/", hostRoutes(desk))
    .route("/", liftRoutes(desk))
    .route("/", banRoutes(desk))
    .route("/", exportRoutes(desk))
    .route("/", heldRoutes(desk))
    .route("/", approvalRoutes(desk))
    .route("/", ruleRoutes(desk, "allow"))
    .route("/", ruleRoutes(desk, "never"))
    .route("/", feedRoutes(desk))
    .route("/", explainRoutes(desk))
    .route("/", recordRoutes(desk))
    .route("/", policyRoutes(desk))
    .route("/", tenantRoutes(desk))
    .route("/", tokenRoutes(desk))
    .route("/", auditRoutes(desk));
}
export type ApiRoutes = ReturnType<typeof apiRoutes>;

const about = {
  openapi: "3.1.0",
  info: {
    title: "fleet2ban",
    version: "1",
    description:
      "Bans of a whole fleet: read, explain, lift. Lists come in pages: `next` is the cursor of the following one. A token of one tenant sees that tenant and the bare fact of fleet bans. `x-least-role` is the least role a route needs.",
  },
  servers: [{ url: "/" }],
  security: [{ token: [] }],
};

/**
 * The coordinator's HTTP surface. It owns no state but counters: every answer comes from the desk.
 *
 * @param metrics  the text of `/metrics`, in Prometheus' format
 */
export function createApp(
  desk: Desk,
  log: Logger,
  metrics: () => Promise<string>,
  rateLimit: RateLimit = rateLimitDefault,
) {
  const app = newApi();
  app.use("*", async (context, next) => {
    context.set("requestId", randomUUID());
    await next();
    context.header("x-request-id", context.get("requestId"));
  });
  app.use("/api/v1/*", refuseStrangeBodies);
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
  app.doc31("/api/v1/openapi.json", about);
  app.get("/api/v1/docs", (context) => docsPage(context, app.getOpenAPI31Document(about)));
  app.get("/api/v1/docs/style.css", docsStyle);
  app.use("/api/v1/*", requireToken(desk));
  app.use("/api/v1/*", limitRate(rateLimit));
  app.use("/api/v1/*", repeatable(desk));
  app.route("/api/v1", apiRoutes(desk));
  return app;
}
