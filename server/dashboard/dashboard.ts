import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Context, Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import type { Desk, Principal } from "../desk/desk.ts";
import { overview } from "./overview.ts";
import { loginPage, page } from "./page.ts";
import { createSessions } from "./session.ts";

const cookieName = "f2b_session";

/**
 * The pages. They hold no state but logins and ask only the desk. Everything is served from here: no page loads
 * anything from anywhere else, and the content policy forbids it.
 */
export function createDashboard(desk: Desk, now: () => number): Hono {
  const app = new Hono();
  const sessions = createSessions();
  const style = readFileSync(new URL("./assets/style.css", import.meta.url), "utf8");
  const htmx = readFileSync(fileURLToPath(import.meta.resolve("htmx.org/dist/htmx.min.js")), "utf8");

  app.use(
    "*",
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
      },
      referrerPolicy: "no-referrer",
    }),
  );
  app.get("/assets/style.css", (context) => context.body(style, 200, { "content-type": "text/css; charset=utf-8" }));
  app.get("/assets/htmx.js", (context) =>
    context.body(htmx, 200, { "content-type": "text/javascript; charset=utf-8" }),
  );

  async function principalOf(context: Context): Promise<Principal | undefined> {
    const token = sessions.tokenOf(getCookie(context, cookieName) ?? "", now());
    return token === undefined ? undefined : await desk.principalOf(token);
  }

  app.get("/", async (context) => {
    const principal = await principalOf(context);
    if (principal === undefined) return context.html(loginPage(null), 200);
    return context.html(page("Overview", principal, await overview(desk, principal, now())));
  });
  app.get("/fragments/overview", async (context) => {
    const principal = await principalOf(context);
    if (principal === undefined) return context.body(null, 401, { "hx-refresh": "true" });
    return context.html(await overview(desk, principal, now()));
  });
  app.post("/login", async (context) => {
    const form = await context.req.parseBody();
    const token = typeof form.token === "string" ? form.token.trim() : "";
    const principal = token === "" ? undefined : await desk.principalOf(token);
    if (principal === undefined) return context.html(loginPage("This token is unknown, expired or revoked."), 401);
    const secure = new URL(context.req.url).protocol === "https:";
    const id = sessions.open(token, now());
    setCookie(context, cookieName, id, { httpOnly: true, sameSite: "Strict", path: "/", secure });
    return context.redirect("/", 303);
  });
  app.post("/logout", (context) => {
    sessions.close(getCookie(context, cookieName) ?? "");
    return context.redirect("/", 303);
  });
  return app;
}
