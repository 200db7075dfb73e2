import { getConnInfo } from "@hono/node-server/conninfo";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { html } from "hono/html";
import { secureHeaders } from "hono/secure-headers";
import { formatAddress, parseAddress } from "../../shared/address.ts";
import type { Desk } from "../desk/desk.ts";
import { serveAssets } from "./assets.ts";
import { bare } from "./frame.ts";
import { liveStream } from "./live-stream.ts";
import { loginPage, ownPath } from "./login.ts";
import { addressPages } from "./pages/address.ts";
import { approvalPages } from "./pages/approvals.ts";
import { auditPages } from "./pages/audit.ts";
import { banPages } from "./pages/bans.ts";
import { enrollPages } from "./pages/enroll.ts";
import { feedPages } from "./pages/feeds.ts";
import { heldPages } from "./pages/held.ts";
import { hostPages } from "./pages/hosts.ts";
import { listPages } from "./pages/lists.ts";
import { overviewPages } from "./pages/overview.ts";
import { policyPages } from "./pages/policy.ts";
import { tenantPages } from "./pages/tenants.ts";
import { tokenPages } from "./pages/tokens.ts";
import { unbanPages } from "./pages/unban.ts";
import { unbanMatchingPages } from "./pages/unban-matching.ts";
import { isSameOrigin } from "./same-origin.ts";
import { selfCheck } from "./self-check.ts";
import { cookieName, refusalOf, servePages } from "./serve-pages.ts";
import { createSessions, type Sessions } from "./session.ts";

/** A token, and the page somebody came for. */
const loginBytesMax = 4096;

export type DashboardOptions = Readonly<{
  /** The page on which anybody may see whether they are banned; null = there is none. `contact`: whom to ask. */
  selfCheck: Readonly<{ contact: string }> | null;
  /** A proxy in front of us says in its headers who the visitor is. Never true without one: visitors would say it. */
  isBehindProxy: boolean;
  /** Errors nobody expected, for the log. */
  report: (error: unknown) => void;
}>;

export type DashboardParts = DashboardOptions &
  Readonly<{
    desk: Desk;
    sessions: Sessions;
    now: () => number;
    /** The visitor's own address; null when there is no connection to read it from. */
    addressOf: (context: Context) => string | null;
  }>;

const defaults: DashboardOptions = {
  selfCheck: { contact: "the people who run this server" },
  isBehindProxy: false,
  report: () => undefined,
};

const everyPage = [
  ...[overviewPages, banPages, unbanPages, unbanMatchingPages, addressPages, hostPages, enrollPages, tenantPages],
  ...[listPages, feedPages, heldPages, approvalPages, policyPages, auditPages, tokenPages],
];

/**
 * The pages. They hold no state but logins and ask only the desk. Everything is served from here: no page loads
 * anything from anywhere else, and the content policy forbids it.
 */
export function createDashboard(desk: Desk, now: () => number, options: Partial<DashboardOptions> = {}): Hono {
  const chosen = { ...defaults, ...options };
  const addressOf = (context: Context) => visitorAddress(context, chosen.isBehindProxy);
  const parts = { ...chosen, desk, now, sessions: createSessions(), addressOf };
  const app = new Hono();
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
      // Whoever puts TLS in front of us decides for the whole name, not we.
      strictTransportSecurity: false,
      // Not `no-referrer`: with it browsers hide the origin of our own forms, too.
      referrerPolicy: "same-origin",
    }),
  );
  app.onError((error, context) => {
    const { sentence, status } = refusalOf(error, chosen.report);
    const content = html`<main id="content" class="door"><section class="card"><h1>Not now</h1><p>${sentence}</p></section></main>`;
    return context.html(bare("Not now", content), status);
  });
  serveAssets(app);
  serveLogin(app, parts);
  if (chosen.selfCheck !== null) selfCheck(app, parts, chosen.selfCheck.contact);
  const pages = servePages(app, parts);
  for (const add of everyPage) add(pages);
  liveStream(app, parts);
  return app;
}

function serveLogin(app: Hono, { desk, sessions, now, isBehindProxy }: DashboardParts): void {
  app.post("/login", bodyLimit({ maxSize: loginBytesMax }), async (context) => {
    context.header("cache-control", "no-store");
    const form = await context.req.parseBody();
    const to = ownPath(form.to);
    if (!isSameOrigin(context.req.raw.headers)) return context.html(loginPage("Please log in on this page.", to), 403);
    const token = typeof form.token === "string" ? form.token.trim() : "";
    const principal = token === "" ? undefined : await desk.principalOf(token);
    if (principal === undefined) return context.html(loginPage("This token is unknown, expired or revoked.", to), 401);
    const forwarded = isBehindProxy ? context.req.header("x-forwarded-proto") : undefined;
    const secure = new URL(context.req.url).protocol === "https:" || forwarded === "https";
    const { id } = sessions.open(token, now());
    setCookie(context, cookieName, id, { httpOnly: true, sameSite: "Strict", path: "/", secure });
    return context.redirect(to, 303);
  });
  app.post("/logout", (context) => {
    if (isSameOrigin(context.req.raw.headers)) {
      sessions.close(getCookie(context, cookieName) ?? "");
      deleteCookie(context, cookieName, { path: "/" });
    }
    return context.redirect("/", 303);
  });
}

/** The proxy appends the address it saw: only the last one is its word. */
function visitorAddress(context: Context, isBehindProxy: boolean): string | null {
  const forwarded = isBehindProxy ? context.req.header("x-forwarded-for")?.split(",").at(-1)?.trim() : undefined;
  const seen = forwarded ?? connectionAddress(context) ?? "";
  const address = parseAddress(seen);
  return address === undefined ? null : formatAddress(address);
}

function connectionAddress(context: Context): string | undefined {
  try {
    return getConnInfo(context).remote.address;
  } catch {
    // Asked without a connection, as tests of a handler do.
    return undefined;
  }
}
