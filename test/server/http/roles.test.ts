import assert from "node:assert/strict";
import { test } from "node:test";
import { type Role, roles } from "../../../server/desk/desk.ts";
import { leastRoles } from "../../../server/desk/guard.ts";
import { type ApiArena, openApi, type Who } from "./open-api.ts";
import { operationsOf } from "./operations.ts";

/** What only the fleet's own people may do or read, whatever their role in a tenant. */
const fleetOnly = [
  /^(PATCH|POST) \/tenants(?:\/\{name\})?$/,
  / \/held/,
  / \/bans\/lift/,
  / \/policy/,
  / \/never/,
  / \/feeds/,
  / \/records/,
  /^GET \/audit\/verify$/,
];

const isFleetOnly = (name: string) => fleetOnly.some((pattern) => pattern.test(name));

/** The answer to a request that is in order but for what it asks for: there is no such thing, or it makes no sense. */
const inOrder = (status: number) => (status >= 200 && status < 300) || [304, 400, 404, 409, 429].includes(status);

const isAboutNet = (name: string) => name.startsWith("DELETE ") || name === "GET /records";

/** Nothing is asked for that exists, so that no request changes what the next one finds. */
function requestOf(api: ApiArena, name: string, who: Who): Promise<Response> {
  const [method = "", template = ""] = name.split(" ");
  const path = template
    .replace("{id}", "987654")
    .replace("{host}", "no-such-host")
    .replace("{version}", "0")
    .replace("{name}", who.split("@")[1] === "fleet" ? "acme" : (who.split("@")[1] ?? ""))
    .replace("{file}", "bans.txt");
  const needed = template === "/explain" ? "?ip=192.0.2.1" : isAboutNet(name) ? "?net=192.0.2.77&reason=x" : "";
  const body = method === "POST" || method === "PUT" || method === "PATCH" ? { no: "such field" } : undefined;
  return api.call(method, `${path}${needed}`, { as: who, ...(body === undefined ? {} : { body }) });
}

/** Every operation by its least role, as an operator would expect it; anything not named here needs nothing but a token. */
const more: Readonly<Record<Exclude<Role, "viewer">, readonly string[]>> = {
  support: ["DELETE /bans", "DELETE /bans/{id}", "POST /tenants/{name}/unban"],
  operator: [
    ...["PATCH /hosts/{host}", "DELETE /hosts/{host}", "POST /bans", "POST /held/{id}/release", "POST /held/{id}/drop"],
    "POST /approvals/{id}/reject",
    "POST /bans/lift",
    ...["POST /feeds/{name}/refresh", "DELETE /feeds/{name}/lifted"],
    ...["POST /allow", "DELETE /allow/{id}", "POST /policy/trial", "GET /policy/trial"],
    ...["GET /enrollment-tokens", "POST /enrollment-tokens", "DELETE /enrollment-tokens/{id}"],
  ],
  admin: [
    "POST /approvals/{id}/approve",
    ...["POST /feeds", "PATCH /feeds/{name}", "DELETE /feeds/{name}"],
    ...["POST /never", "DELETE /never/{id}", "PUT /policy", "POST /policy/revert", "POST /tenants"],
    ...[
      "PATCH /tenants/{name}",
      "GET /tokens",
      "POST /tokens",
      "DELETE /tokens/{id}",
      "GET /records",
      "DELETE /records",
      "GET /audit",
      "GET /audit/verify",
      "GET /audit/{id}/reach",
    ],
  ],
};

function expectedRole(name: string): Role {
  if (more.admin.includes(name)) return "admin";
  if (more.operator.includes(name)) return "operator";
  return more.support.includes(name) ? "support" : "viewer";
}

test("every write needs more than a viewer, and the document says what", async () => {
  await using api = await openApi();
  for (const { name, leastRole } of await operationsOf(api)) {
    assert.equal(leastRole, expectedRole(name), name);
    if (!name.startsWith("GET ")) assert.notEqual(leastRole, "viewer", name);
  }
});

test("every route asks for its role, and for a token of the fleet where it is the fleet's", async (context) => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  const operations = await operationsOf(api);
  assert.ok(operations.length > 40, `only ${operations.length} operations`);
  for (const { name } of operations) {
    if (name === "GET /events") continue;
    const leastRole = expectedRole(name);
    await context.test(name, async () => {
      for (const role of roles) {
        for (const owner of ["fleet", "acme"]) {
          const who: Who = `${role}@${owner}`;
          const { status } = await requestOf(api, name, who);
          const mayRole = roles.indexOf(role) >= roles.indexOf(leastRole);
          const mayOwner = owner === "fleet" || !isFleetOnly(name);
          if (!mayRole) assert.equal(status, 403, who);
          else if (mayOwner) assert.ok(inOrder(status), `${who}: ${status}`);
          // A body that makes no sense may be named first.
          else assert.ok(status === 403 || status === 400, `${who}: ${status}`);
        }
      }
    });
  }
});

test("what is the fleet's is refused to a tenant's admin also when the request makes sense", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"], other: ["db-1"] });
  const as = "admin@acme";
  const document = { spread: null };
  const requests: readonly (readonly [string, string, unknown?])[] = [
    ["GET", "/policy"],
    ["GET", "/policy/versions"],
    ["GET", "/policy/versions/0"],
    ["PUT", "/policy", document],
    ["POST", "/policy/trial", document],
    ["POST", "/policy/revert"],
    ["GET", "/held"],
    ["POST", "/held/1/release"],
    ["POST", "/held/1/drop"],
    ["GET", "/policy/trial"],
    ["POST", "/bans/lift", { filter: {}, all: true, reason: "x" }],
    ["GET", "/never"],
    ["POST", "/never", { net: "198.51.100.1", reason: "x" }],
    ["POST", "/tenants", { name: "mine" }],
    ["PATCH", "/tenants/acme", { trust: "full" }],
    ["POST", "/tenants/other/unban", { net: "192.0.2.1", reason: "x" }],
    ["GET", "/audit/verify"],
    ["GET", "/records?net=192.0.2.1"],
    ["DELETE", "/records?net=192.0.2.1&reason=x"],
    ["PATCH", "/hosts/web-1", { quarantined: false }],
    ["PATCH", "/hosts/web-1", { tenant: "other" }],
    ["GET", "/hosts?tenant=other"],
    ["GET", "/failures?tenant=other"],
    ["POST", "/bans", { net: "192.0.2.1", bantime: "1h", reason: "x", scope: "fleet" }],
    ["POST", "/bans", { net: "192.0.2.1", bantime: "1h", reason: "x", scope: "tenant:other" }],
    ["POST", "/bans", { net: "192.0.2.1", bantime: "1h", reason: "x", scope: "host:other/db-1" }],
    ["POST", "/allow", { net: "192.0.2.1", reason: "x" }],
    ["POST", "/allow", { net: "192.0.2.1", reason: "x", tenant: "other" }],
    ["POST", "/enrollment-tokens", { tenant: "other" }],
    ["POST", "/tokens", { name: "x", role: "viewer", tenant: "other" }],
    ["POST", "/tokens", { name: "x", role: "viewer" }],
  ];
  for (const [method, path, body] of requests) {
    const { status } = await api.call(method, path, { as, ...(body === undefined ? {} : { body }) });
    assert.equal(status, 403, `${method} ${path}`);
  }
});

test("another tenant's things are not there for a tenant, whatever it asks of them", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"], other: ["db-1"] });
  const ban = await api.ok<{ id: number }>("POST", "/bans", {
    body: { net: "192.0.2.1", bantime: null, reason: "x", scope: "tenant:other" },
  });
  const allow = await api.ok<{ id: number }>("POST", "/allow", {
    body: { net: "192.0.2.9", reason: "x", tenant: "other" },
  });
  await api.ok("POST", "/enrollment-tokens", { body: { tenant: "other" } });
  const tokens = await api.ok<{ items: { id: number; tenant: string | null }[] }>("GET", "/tokens");
  const foreign = tokens.items.find((token) => token.tenant === "other");
  const fleets = tokens.items.find((token) => token.tenant === null);
  const requests: readonly (readonly [string, string, unknown?])[] = [
    ["GET", "/hosts/db-1"],
    ["PATCH", "/hosts/db-1", { label: "mine" }],
    ["DELETE", "/hosts/db-1"],
    ["GET", "/tenants/other"],
    ["GET", `/bans/${ban.id}`],
    ["GET", `/bans/${ban.id}/receipt`],
    ["DELETE", `/bans/${ban.id}?reason=x`],
    ["DELETE", "/bans?net=192.0.2.1&reason=x"],
    ["DELETE", `/allow/${allow.id}`],
    ["DELETE", "/enrollment-tokens/1"],
    ["DELETE", `/tokens/${foreign?.id}`],
    ["DELETE", `/tokens/${fleets?.id}`],
  ];
  for (const [method, path, body] of requests) {
    const { status } = await api.call(method, path, { as: "admin@acme", ...(body === undefined ? {} : { body }) });
    assert.equal(status, 404, `${method} ${path}`);
  }
});

test("nobody hands out a role he does not have, and a revoked token opens nothing", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  const made = await api.ok<{ id: number; token: string }>("POST", "/tokens", {
    as: "admin@acme",
    body: { name: "panel", role: "support", tenant: "acme" },
  });
  const as = { headers: { authorization: `Bearer ${made.token}` } };
  assert.equal((await api.call("GET", "/me", as)).status, 200);
  await api.ok("DELETE", `/tokens/${made.id}`, { as: "admin@acme" });
  assert.equal((await api.call("GET", "/me", as)).status, 401);
});

test("the desk itself looks at the role, whoever calls it", async () => {
  await using api = await openApi();
  const viewer = { tokenId: 1, name: "v", role: "viewer", tenant: null } as const;
  for (const [verb, least] of Object.entries(leastRoles) as [keyof typeof leastRoles, Role][]) {
    if (least === "viewer") continue;
    const call = Reflect.get(api.desk, verb) as (asker: unknown, ...rest: unknown[]) => Promise<unknown>;
    await assert.rejects(call(viewer, "x", {}, "x"), /needs the role/, verb);
  }
});
