import assert from "node:assert/strict";
import { test } from "node:test";
import type { BanRequest, Desk, Role } from "../../../server/desk/desk.ts";
import { createApp } from "../../../server/http/app.ts";
import { openLogger } from "../../../server/logger.ts";
import { Fleet2banError } from "../../../shared/errors.ts";

const tokens: Readonly<Record<string, Role>> = {
  f2b_viewer_viewer_viewer_: "viewer",
  f2b_operator_operator_op_: "operator",
};

/** A desk that answers only what a test gives it; anything else is a bug in the route. */
function appWith(answers: Partial<Desk>) {
  const base: Partial<Desk> = {
    principalOf: async (token) => {
      const role = tokens[token];
      return role === undefined ? undefined : { tokenId: 1, name: role, role, tenant: null };
    },
  };
  const desk = new Proxy({ ...base, ...answers } as Desk, {
    get: (target, name) => {
      const answer = Reflect.get(target, name);
      if (answer === undefined) throw new Error(`the test's desk has no ${String(name)}`);
      return answer;
    },
  });
  return createApp(desk, openLogger("silent"), async () => "metric 1\n");
}

const as = (role: "viewer" | "operator") => ({
  authorization: `Bearer ${Object.keys(tokens).find((token) => tokens[token] === role)}`,
  "content-type": "application/json",
});

async function problemOf(response: Response) {
  assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
  return (await response.json()) as { status: number; detail: string; requestId: string };
}

test("a request without a token is refused and told how to get one", async () => {
  const response = await appWith({}).request("/api/v1/bans");
  assert.equal(response.status, 401);
  assert.match((await problemOf(response)).detail, /fleet2ban token create/);
});

test("an unknown token is refused", async () => {
  const response = await appWith({}).request("/api/v1/bans", {
    headers: { authorization: "Bearer f2b_unknown_unknown_unknown" },
  });
  assert.equal(response.status, 401);
  assert.match((await problemOf(response)).detail, /unknown, expired or revoked/);
});

test("a viewer may not ban, and is told which role may", async () => {
  const body = JSON.stringify({ net: "192.0.2.1", bantime: "1h", reason: "test" });
  const response = await appWith({}).request("/api/v1/bans", { method: "POST", headers: as("viewer"), body });
  assert.equal(response.status, 403);
  assert.match((await problemOf(response)).detail, /needs the role operator/);
});

for (const net of ["010.0.0.1", "192.0.2.1/33", "localhost", "1.2.3"]) {
  test(`${net} is no address: the answer names the field`, async () => {
    const body = JSON.stringify({ net, bantime: "1h", reason: "test" });
    const response = await appWith({}).request("/api/v1/bans", { method: "POST", headers: as("operator"), body });
    assert.equal(response.status, 400);
    assert.match((await problemOf(response)).detail, /^net: .*not an address/);
  });
}

test("a ban reaches the desk canonical, in milliseconds", async () => {
  const requests: BanRequest[] = [];
  const app = appWith({
    ban: async (_asker, request) => {
      requests.push(request);
      const view = {
        id: 1,
        level: null,
        reason: "admin: test",
        by: "operator",
        startedMs: 0,
        untilMs: 3_600_000,
        endedMs: null,
      };
      const evidence = { hosts: 0, tenants: 0, failures: 0 };
      const { net, scope } = request;
      return { kind: "made", made: { ...view, net, scope, ports: null, endReason: null, note: "test", evidence } };
    },
  });
  const body = JSON.stringify({ net: "2001:DB8::1", bantime: "1h", reason: "test" });
  const response = await app.request("/api/v1/bans", { method: "POST", headers: as("operator"), body });
  assert.equal(response.status, 201);
  assert.deepEqual(requests, [
    { net: "2001:db8::1/128", scope: "fleet", banTimeMs: 3_600_000, ports: null, reason: "test", dryRun: false },
  ]);
  assert.equal(((await response.json()) as { until: string }).until, "1970-01-01T01:00:00.000Z");
});

test("a ban for ever must be said, not forgotten", async () => {
  const body = JSON.stringify({ net: "192.0.2.1", reason: "test" });
  const response = await appWith({}).request("/api/v1/bans", { method: "POST", headers: as("operator"), body });
  assert.equal(response.status, 400);
  assert.match((await problemOf(response)).detail, /^bantime: /);
});

test("an unknown field is refused by name", async () => {
  const body = JSON.stringify({ net: "192.0.2.1", bantime: "1h", reason: "test", banTime: "1d" });
  const response = await appWith({}).request("/api/v1/bans", { method: "POST", headers: as("operator"), body });
  assert.equal(response.status, 400);
  assert.match((await problemOf(response)).detail, /banTime/);
});

test("broken JSON is the caller's mistake, not ours", async () => {
  const response = await appWith({}).request("/api/v1/bans", { method: "POST", headers: as("operator"), body: "{" });
  assert.equal(response.status, 400);
});

test("a body over the bound is refused before it is read", async () => {
  const body = JSON.stringify({ net: "192.0.2.1", bantime: "1h", reason: "x".repeat(300_000) });
  const response = await appWith({}).request("/api/v1/bans", { method: "POST", headers: as("operator"), body });
  assert.equal(response.status, 413);
});

test("the desk's refusal keeps its sentence and gets its status", async () => {
  const app = appWith({
    explain: async () => {
      throw new Fleet2banError("unavailable", "the database is away; the coordinator retries");
    },
  });
  const response = await app.request("/api/v1/explain?ip=192.0.2.1", { headers: as("viewer") });
  assert.equal(response.status, 503);
  assert.equal((await problemOf(response)).detail, "the database is away; the coordinator retries");
});

test("an unexpected error shows its request id and nothing of itself", async () => {
  const app = appWith({
    explain: async () => {
      throw new Error("password=secret");
    },
  });
  const response = await app.request("/api/v1/explain?ip=192.0.2.1", { headers: as("viewer") });
  const shown = await problemOf(response);
  assert.equal(shown.status, 500);
  assert.doesNotMatch(JSON.stringify(shown), /secret/);
  assert.equal(shown.requestId, response.headers.get("x-request-id"));
});

test("an unknown path is a problem that names it", async () => {
  const response = await appWith({}).request("/nowhere");
  assert.equal(response.status, 404);
  assert.match((await problemOf(response)).detail, /GET \/nowhere/);
});

test("readiness tells which part is away", async () => {
  const app = appWith({ health: async () => ({ database: "connection refused", bus: "ok" }) });
  const response = await app.request("/readyz");
  assert.equal(response.status, 503);
  assert.deepEqual(await response.json(), { ok: false, database: "connection refused", bus: "ok" });
});

test("the OpenAPI document describes every route under /api/v1", async () => {
  const app = appWith({});
  const response = await app.request("/api/v1/openapi.json", { headers: as("viewer") });
  const document = (await response.json()) as { openapi: string; paths: Record<string, Record<string, unknown>> };
  assert.equal(document.openapi, "3.1.0");
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
  );
  const served = app.routes
    .filter(({ path, method }) => /^\/api\/v1\/(?!openapi.json$|docs)/.test(path) && method !== "ALL")
    .map((route) => `${route.method} ${route.path}`);
  assert.deepEqual([...new Set(described)].toSorted(), [...new Set(served)].toSorted());
});
