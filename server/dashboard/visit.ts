import type { Desk, Principal, Role } from "../desk/desk.ts";
import { mayAct } from "../desk/desk.ts";
import { leastRoles } from "../desk/guard.ts";
import type { Form } from "./parts/form.ts";
import type { Html } from "./parts/html.ts";

/** One look at a page: who looks, when, and whom the page may ask. */
export type Visit = Readonly<{
  desk: Desk;
  principal: Principal;
  /** For every form on the page. */
  formToken: string;
  nowMs: number;
  path: string;
  query: URLSearchParams;
}>;

export type Page = Readonly<{ title: string; content: Html }>;
/** What a form leads to: another page with a sentence about what was done, or a page shown at once. */
export type Next = Readonly<{ to: string; notice: string }> | Page;

/** What people do here, and the least role that may: what a role may not do is not offered, and refused. */
export const least = {
  look: leastRoles.status,
  unban: leastRoles.unbanNet,
  liftBans: leastRoles.liftBans,
  ban: leastRoles.ban,
  allow: leastRoles.addRule,
  never: "admin",
  hosts: leastRoles.changeHost,
  quarantine: leastRoles.changeHost,
  enroll: leastRoles.addEnrollmentToken,
  tenants: leastRoles.changeTenant,
  feeds: leastRoles.feeds,
  changeFeeds: leastRoles.changeFeed,
  held: leastRoles.held,
  decideHeld: leastRoles.decideHeld,
  reject: leastRoles.reject,
  policy: leastRoles.policy,
  tryPolicy: leastRoles.tryPolicy,
  setPolicy: leastRoles.setPolicy,
  audit: leastRoles.audit,
  verifyAudit: leastRoles.verifyAudit,
  tokens: leastRoles.apiTokens,
} as const satisfies Readonly<Record<string, Role>>;
export type Act = keyof typeof least;

/** Acts that know no tenant: a tenant's own people have no part in them. */
const ofWholeFleet: ReadonlySet<Act> = new Set<Act>([
  ...([
    "never",
    "feeds",
    "changeFeeds",
    "liftBans",
    "quarantine",
    "tenants",
    "held",
    "decideHeld",
    "policy",
    "tryPolicy",
    "setPolicy",
    "verifyAudit",
  ] as const),
]);

export function may(principal: Principal, act: Act): boolean {
  return mayAct(principal, least[act]) && (principal.tenant === null || !ofWholeFleet.has(act));
}

/** Where pages register themselves. */
export type Pages = Readonly<{
  get(path: string, act: Act, show: (visit: Visit) => Promise<Page>): void;
  /** @param again  the page to show when the world refused, with the sentence that says why */
  post(
    path: string,
    act: Act,
    run: (visit: Visit, form: Form) => Promise<Next>,
    again: (visit: Visit, form: Form) => Promise<Page>,
  ): void;
}>;
