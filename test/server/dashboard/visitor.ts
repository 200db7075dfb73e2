import assert from "node:assert/strict";
import { createDashboard, type DashboardOptions } from "../../../server/dashboard/dashboard.ts";
import type { Desk } from "../../../server/desk/desk.ts";
import { fakeDesk, nowMs } from "./fake-desk.ts";

const host = "fleet.example";
/** What browsers say of themselves when one of our own pages sends a form. */
export const ownPage = { host, origin: `http://${host}` };

/** Somebody with a browser: keeps the cookie, reads the form token out of a page, follows nothing. */
export type Visitor = Readonly<{
  logIn(token: string): Promise<Response>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  text(path: string): Promise<string>;
  /** Sends a form as our own pages do, unless told otherwise. */
  send(path: string, form: FormFields, headers?: Readonly<Record<string, string>>): Promise<Response>;
  formToken(): Promise<string>;
  pass(spanMs: number): void;
}>;
export type FormFields = Readonly<Record<string, string>>;

export function newVisitor(desk: Partial<Desk> = {}, options: Partial<DashboardOptions> = {}): Visitor {
  let atMs = nowMs;
  let cookie = "";
  const app = createDashboard(fakeDesk(desk), () => atMs, options);
  const get = async (path: string, headers: Readonly<Record<string, string>> = {}) =>
    await app.request(`http://${host}${path}`, { headers: { host, cookie, ...headers } });
  const post = async (path: string, form: FormFields, headers: Readonly<Record<string, string>>) =>
    await app.request(`http://${host}${path}`, { method: "POST", body: new URLSearchParams(form), headers });
  const visitor: Visitor = {
    async logIn(token) {
      const response = await post("/login", { token, to: "/" }, ownPage);
      cookie = response.headers.get("set-cookie")?.split(";")[0] ?? "";
      return response;
    },
    get,
    text: async (path) => await (await get(path)).text(),
    async formToken() {
      const token = /name="formToken" value="([\w-]+)"/.exec(await visitor.text("/bans"))?.[1];
      assert.ok(token !== undefined, "every page of somebody logged in has a form token");
      return token;
    },
    async send(path, form, headers = ownPage) {
      const known: FormFields = form.formToken === undefined ? { ...form, formToken: await visitor.formToken() } : form;
      return await post(path, known, { host, cookie, ...headers });
    },
    pass(spanMs) {
      atMs += spanMs;
    },
  };
  return visitor;
}

export async function loggedIn(
  token: string,
  desk: Partial<Desk> = {},
  options: Partial<DashboardOptions> = {},
): Promise<Visitor> {
  const visitor = newVisitor(desk, options);
  const response = await visitor.logIn(token);
  assert.equal(response.status, 303);
  return visitor;
}
