import { z } from "zod";
import { UsageError } from "../../shared/command-line.ts";
import { Host, pageOf } from "../http/schemas.ts";
import { Status } from "../http/status.ts";
import { Tenant } from "../http/tenants.ts";
import { ApiToken, EnrollmentToken } from "../http/tokens.ts";
import { type Command, help, isId } from "./command.ts";
import { plain, table } from "./table.ts";

export const status: Command = {
  help: help("status", "The fleet in one glance, and what is not as it should be.", {}, [0, 0]),
  async run(api) {
    const now = await api.get("/status", Status);
    const levels = Object.entries(now.bans.byLevel).map(([level, count]) => `${level}: ${count}`);
    const lines = [
      `hosts     ${now.hosts.connected}/${now.hosts.total} connected, ${now.hosts.lagging} lagging, ${now.hosts.notEnforcing} not enforcing`,
      `bans      ${now.bans.active} active${levels.length > 0 ? ` (${levels.join(", ")})` : ""}`,
      `failures  ${now.failuresLastHour} in the last hour`,
      ...now.degraded.map((sentence) => `!         ${plain(sentence)}`),
    ];
    return { values: [now], text: `${lines.join("\n")}\n` };
  },
};

export const hosts: Command = {
  help: help(
    "hosts",
    "Every host: connected, in step, enforcing.",
    { limit: { value: "N", help: "rows (default 100)" } },
    [0, 0],
  ),
  async run(api, line) {
    const page = await api.get(`/hosts?limit=${line.text("limit") ?? "100"}`, pageOf(Host));
    const rows = page.items.map((host) => [
      `${host.tenant}/${host.host}`,
      host.state === "active" ? (host.connected ? "connected" : "away") : host.state,
      host.behind === null ? "-" : String(host.behind),
      host.firewall ?? "-",
      host.enforcing === null ? "-" : host.enforcing ? "yes" : "NO",
      host.lastSeen ?? "never",
      host.problems.join("; "),
    ]);
    return {
      values: page.items,
      text: table(
        ["HOST", "STATE", "BEHIND", "FIREWALL", "ENFORCING", "LAST SEEN", "PROBLEMS"],
        rows,
        "no hosts yet: make a token with `fleet2ban token enroll`",
      ),
    };
  },
};

export const tenants: Command = {
  help: help(
    "tenants [NAME --trust full|vote]",
    "Lists tenants, or adds one.",
    { trust: { value: "TRUST", help: "full: its failures ban fleet-wide; vote (default): they are one vote" } },
    [0, 1],
  ),
  async run(api, line) {
    const name = line.positionals[0];
    if (name !== undefined) await api.post("/tenants", { name, trust: line.text("trust") ?? "vote" }, Tenant);
    const { items } = await api.get("/tenants", z.object({ items: z.array(Tenant) }));
    const rows = items.map((tenant) => [tenant.name, tenant.trust, String(tenant.hosts), tenant.created]);
    return { values: items, text: table(["TENANT", "TRUST", "HOSTS", "SINCE"], rows, "no tenants") };
  },
};

export const token: Command = {
  help: help(
    "token enroll|create|list|revoke [ID]",
    "enroll: a token with which a host joins. create: an API token. list, revoke ID: API tokens.",
    {
      tenant: { value: "NAME", help: "enroll: the host's tenant (default `default`); create: only this tenant" },
      host: { value: "NAME", help: "enroll: the host's name (default: what the host calls itself)" },
      uses: { value: "N", help: "enroll: how many hosts (default 1)" },
      time: { value: "SPAN", help: "valid for this long (enroll: default 1d)" },
      name: { value: "TEXT", help: "create: who or what uses it" },
      role: { value: "ROLE", help: "create: admin, operator, support or viewer" },
    },
    [1, 2],
  ),
  async run(api, line) {
    const [verb, id] = line.positionals;
    const time = line.text("time");
    if (verb === "enroll") {
      const request = {
        tenant: line.text("tenant") ?? "default",
        host: line.text("host") ?? null,
        uses: Number(line.text("uses") ?? 1),
        ...(time === undefined ? {} : { duration: time }),
      };
      const made = await api.post("/enrollment-tokens", request, EnrollmentToken);
      return { values: [made], text: `${made.token}\n` };
    }
    if (verb === "create") {
      const request = {
        name: line.text("name") ?? "unnamed",
        role: line.text("role") ?? "viewer",
        tenant: line.text("tenant") ?? null,
        duration: time ?? null,
      };
      const made = await api.post("/tokens", request, ApiToken.extend({ token: z.string() }));
      return { values: [made], text: `${made.token}\n` };
    }
    if (verb === "revoke" && id !== undefined && isId(id)) {
      await api.delete(`/tokens/${id}`, z.null());
      return { values: [{ revoked: Number(id) }], text: `revoked token ${id}\n` };
    }
    if (verb !== "list") throw new UsageError("fleet2ban token: say enroll, create, list or revoke ID; see --help");
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
  },
};
