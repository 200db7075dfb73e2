import { randomUUID } from "node:crypto";
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { getCookie } from "hono/cookie";
import { html } from "hono/html";
import { type ErrorCode, Fleet2banError } from "../../shared/errors.ts";
import type { Principal } from "../desk/desk.ts";
import type { DashboardParts } from "./dashboard.ts";
import { bare, framed } from "./frame.ts";
import { loginPage, ownPath } from "./login.ts";
import { ownAddress } from "./own-address.ts";
import type { Form } from "./parts/form.ts";
import { isSameOrigin } from "./same-origin.ts";
import { isFormToken, type Session } from "./session.ts";
import { type Act, least, may, type Page, type Pages, type Visit } from "./visit.ts";

export const cookieName = "f2b_session";
/** The largest form is an edited policy. */
const formBytesMax = 256 * 1024;

type Status = 400 | 401 | 403 | 404 | 409 | 500 | 503;
const statusOf: Readonly<Record<ErrorCode, Status>> = {
  invalid: 400,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  internal: 500,
  unavailable: 503,
};

/** Puts pages on the web: who may see them, forms that only our own pages can send, sentences instead of errors. */
export function servePages(app: Hono, parts: DashboardParts): Pages {
  const { desk, sessions, now } = parts;

  async function enter(context: Context): Promise<Readonly<{ session: Session; visit: Visit }> | undefined> {
    const isPerson = context.req.header("hx-request") === undefined;
    const session = sessions.find(getCookie(context, cookieName) ?? "", now(), isPerson);
    const holder = session === undefined ? undefined : await desk.principalOf(session.token);
    if (session === undefined || holder === undefined) return undefined;
    const principal = { ...holder, requestId: randomUUID() };
    const { pathname, searchParams } = new URL(context.req.url);
    const { formToken } = session;
    const visit = {
      desk,
      principal,
      formToken,
      nowMs: now(),
      path: pathname,
      query: searchParams,
    };
    return { session, visit };
  }

  async function answer(
    context: Context,
    { session, visit }: Readonly<{ session: Session; visit: Visit }>,
    { title, content }: Page,
    problem: Readonly<{ sentence: string; status: Status }> | null = null,
  ): Promise<Response> {
    context.header("cache-control", "no-store");
    const status = problem?.status ?? 200;
    // A page that updates itself wants its content only.
    if (context.req.header("hx-request") !== undefined) return context.html(await content, status);
    const { principal, formToken, path } = visit;
    const own = await ownAddress(visit, parts.addressOf(context));
    const notice = sessions.takeNotice(session);
    const frame = { title, path, principal, formToken, notice, problem: problem?.sentence ?? null, own, content };
    return context.html(await framed(frame), status);
  }

  function turnAway(context: Context): Response | Promise<Response> {
    if (context.req.header("hx-request") !== undefined) return context.body(null, 401, { "hx-refresh": "true" });
    context.header("cache-control", "no-store");
    const { pathname, search } = new URL(context.req.url);
    const to = context.req.method === "GET" ? ownPath(`${pathname}${search}`) : "/";
    // The front door is a page like any other; whoever asks for more is told that a login is missing.
    return context.html(loginPage(null, to), to === "/" ? 200 : 401);
  }

  const failed = (error: unknown) => refusalOf(error, parts.report);
  const tooLarge = (context: Context) => context.html(bare("Too large", html`<p>This form is too large.</p>`), 413);

  return {
    get(path, act, show) {
      app.get(path, async (context) => {
        const entered = await enter(context);
        if (entered === undefined) return await turnAway(context);
        try {
          requireMay(entered.visit.principal, act);
          return await answer(context, entered, await show(entered.visit));
        } catch (error) {
          return await answer(context, entered, { title: "Not possible", content: html`` }, failed(error));
        }
      });
    },
    post(path, act, run, again) {
      app.post(path, bodyLimit({ maxSize: formBytesMax, onError: tooLarge }), async (context) => {
        const entered = await enter(context);
        if (entered === undefined) return await turnAway(context);
        const { visit, session } = entered;
        const form = await formOf(context);
        try {
          if (!isSameOrigin(context.req.raw.headers) || !isFormToken(session, form.text("formToken"))) {
            throw new Fleet2banError("forbidden", "this form was not sent from this page; open the page and try again");
          }
          requireMay(visit.principal, act);
          const next = await run(visit, form);
          if (!("to" in next)) return await answer(context, entered, next);
          sessions.leaveNotice(session, next.notice);
          return context.redirect(next.to, 303);
        } catch (error) {
          return await answer(context, entered, await again(visit, form), failed(error));
        }
      });
    },
  };
}

/** Our own sentences may be shown to anybody; of anything else only that it happened. */
export function refusalOf(
  error: unknown,
  report: (error: unknown) => void,
): Readonly<{ sentence: string; status: Status }> {
  const status: Status = error instanceof Fleet2banError ? statusOf[error.code] : 500;
  if (status >= 500) report(error);
  const unexpected = "Something unexpected happened; the coordinator's log has the details.";
  return { sentence: error instanceof Fleet2banError ? error.message : unexpected, status };
}

function requireMay(principal: Principal, act: Act): void {
  if (may(principal, act)) return;
  const whole = principal.tenant === null ? "" : " of the whole fleet";
  const has = `your token "${principal.name}" has ${principal.role}`;
  throw new Fleet2banError("forbidden", `this needs the role ${least[act]}${whole}; ${has}`);
}

async function formOf(context: Context): Promise<Form> {
  const sent = await context.req.formData().catch(() => new FormData());
  const texts = (name: string) => sent.getAll(name).filter((value) => typeof value === "string");
  return { text: (name) => texts(name)[0] ?? "", all: texts };
}
