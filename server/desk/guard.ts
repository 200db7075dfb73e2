import { Fleet2banError } from "../../shared/errors.ts";
import { type Desk, mayAct, type Principal, type Role } from "./desk.ts";

type Verb = Exclude<keyof Desk, "principalOf" | "health" | "startOnce" | "finishOnce">;

/** The least role for every verb. The never list and a host's move ask for more; see there. */
export const leastRoles: Readonly<Record<Verb, Role>> = {
  ...{ status: "viewer", stats: "viewer", watch: "viewer", hosts: "viewer", host: "viewer", bans: "viewer" },
  ...{ oneBan: "viewer", receipt: "viewer", exportBans: "viewer", failures: "viewer", recentFailures: "viewer" },
  ...{ incidents: "viewer", explain: "viewer", rules: "viewer", held: "viewer", policy: "viewer", tenants: "viewer" },
  ...{ policyVersions: "viewer", policyVersion: "viewer", approvals: "viewer", approval: "viewer" },
  ...{ unban: "support", unbanNet: "support" },
  ...{ feeds: "viewer", feed: "viewer", refreshFeed: "operator", restoreFeedEntry: "operator" },
  ...{ addFeed: "admin", changeFeed: "admin", removeFeed: "admin" },
  ...{ changeHost: "operator", revokeHost: "operator", ban: "operator", addRule: "operator", removeRule: "operator" },
  ...{
    decideHeld: "operator",
    liftBans: "operator",
    tryPolicy: "operator",
    trialProgress: "operator",
    addEnrollmentToken: "operator",
    enrollmentTokens: "operator",
  },
  ...{ revokeEnrollmentToken: "operator", reject: "operator", approve: "admin" },
  ...{ setPolicy: "admin", revertPolicy: "admin", addTenant: "admin", changeTenant: "admin" },
  ...{
    apiTokens: "admin",
    addApiToken: "admin",
    revokeApiToken: "admin",
    records: "admin",
    eraseRecords: "admin",
    audit: "admin",
    auditReach: "admin",
    verifyAudit: "admin",
  },
};

/** Refuses with the sentence that says which role would be enough. */
export function requireRole(principal: Principal, least: Role): Principal {
  if (mayAct(principal, least)) return principal;
  throw new Fleet2banError(
    "forbidden",
    `this needs the role ${least}; your token "${principal.name}" has ${principal.role}`,
  );
}

/** The same desk, which looks at the asker's role before anything else: whoever calls it, and whatever that forgot. */
export function guardDesk(desk: Desk): Desk {
  return new Proxy(desk, {
    get(target, name) {
      const verb: unknown = Reflect.get(target, name);
      if (typeof name !== "string" || !(name in leastRoles) || typeof verb !== "function") return verb;
      const least = leastRoles[name as Verb];
      if (name === "watch") {
        return (asker: Principal, ...rest: unknown[]): unknown =>
          Reflect.apply(verb, target, [requireRole(asker, least), ...rest]);
      }
      return async (asker: Principal, ...rest: unknown[]): Promise<unknown> =>
        await Reflect.apply(verb, target, [requireRole(asker, least), ...rest]);
    },
  });
}
