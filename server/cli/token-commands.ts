import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { pageOf } from "../http/schemas.ts";
import { ApiToken, EnrollmentToken, ListedEnrollmentToken } from "../http/tokens.ts";
import type { ApiClient } from "./api-client.ts";
import { type Answer, type Command, dryRun, help, isId, queryOf } from "./command.ts";
import { table } from "./table.ts";

const verbs = ["enroll", "enrolments", "revoke-enrolment", "create", "list", "revoke"];

export const token: Command = {
  words: verbs,
  help: help(
    "token VERB [ID]",
    `Tokens of hosts and people.
  enroll                a token with which a host joins
  enrolments            the list of those
  revoke-enrolment ID   nobody joins with it any more
  create                an API token
  list                  the list of those
  revoke ID             the next request with it is refused`,
    {
      tenant: { value: "NAME", help: "enroll: the host's tenant (default `default`); create: only this tenant" },
      host: { value: "NAME", help: "enroll: the host's name (default: what the host calls itself)" },
      uses: { value: "N", help: "enroll: how many hosts (default 1)" },
      time: { value: "SPAN", help: "valid for this long (enroll: default 1d)" },
      name: { value: "TEXT", help: "create: who or what uses it" },
      role: { value: "ROLE", help: "create: admin, operator, support or viewer" },
      reason: { value: "TEXT", help: "why, for the audit log" },
      ...dryRun,
    },
    [1, 2],
  ),
  async run(api, line) {
    const [verb, id] = line.positionals;
    const time = line.text("time");
    const query = queryOf({ reason: line.text("reason"), dryRun: line.on("dry-run") });
    if (verb === "enroll") {
      const request = {
        tenant: line.text("tenant") ?? "default",
        host: line.text("host") ?? null,
        uses: Number(line.text("uses") ?? 1),
        ...(time === undefined ? {} : { duration: time }),
      };
      const made = await api.post(`/enrollment-tokens${query}`, request, EnrollmentToken);
      return { values: [made], text: `${made.token}\n` };
    }
    if (verb === "create") {
      const request = {
        name: line.text("name") ?? "unnamed",
        role: line.text("role") ?? "viewer",
        tenant: line.text("tenant") ?? null,
        duration: time ?? null,
      };
      const made = await api.post(`/tokens${query}`, request, ApiToken.extend({ token: z.string() }));
      return { values: [made], text: `${made.token}\n` };
    }
    if ((verb === "revoke" || verb === "revoke-enrolment") && id !== undefined && isId(id)) {
      await api.delete(`/${verb === "revoke" ? "tokens" : "enrollment-tokens"}/${id}${query}`, z.null());
      return {
        values: [{ revoked: Number(id) }],
        text: `revoked ${verb === "revoke" ? "" : "enrolment "}token ${id}\n`,
      };
    }
    if (verb === "list") return await listTokens(api);
    if (verb === "enrolments") return await listEnrollments(api);
    throw new UsageError(`fleet2ban token: say ${verbs.join(", ")}; see --help`);
  },
};

async function listTokens(api: ApiClient): Promise<Answer> {
  const { items } = await api.get("/tokens", z.object({ items: z.array(ApiToken) }));
  const rows = items.map((each) => [
    String(each.id),
    each.name,
    each.role,
    each.tenant ?? "fleet",
    each.until ?? "-",
    each.lastUsed ?? "never",
    each.revoked === null ? "" : "revoked",
  ]);
  return { values: items, text: table(["ID", "NAME", "ROLE", "FOR", "UNTIL", "LAST USED", ""], rows, "no tokens") };
}

async function listEnrollments(api: ApiClient): Promise<Answer> {
  const { items } = await api.get("/enrollment-tokens?limit=1000", pageOf(ListedEnrollmentToken));
  const rows = items.map((each) => [
    String(each.id),
    each.tenant,
    each.host ?? "any",
    String(each.usesLeft),
    each.until,
    each.by,
    each.ended ? "ended" : "",
  ]);
  return { values: items, text: table(["ID", "TENANT", "HOST", "USES LEFT", "UNTIL", "BY", ""], rows, "no tokens") };
}
