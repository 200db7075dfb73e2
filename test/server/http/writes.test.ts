import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { openTypedClient } from "../../../server/http/typed-client.ts";
import { openApi } from "./open-api.ts";

const ban = (net: string, more: object = {}) => ({ net, bantime: "1h", reason: "test", ...more });
const problemOf = async (response: Response) => (await response.json()) as { status: number; detail: string };

test("a write that comes twice with its key is done once and answered alike", async () => {
  await using api = await openApi();
  const asked = { body: ban("192.0.2.1"), headers: { "idempotency-key": "one" } };
  const first = await api.call("POST", "/bans", asked);
  const second = await api.call("POST", "/bans", asked);
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(second.headers.get("idempotency-replayed"), "true");
  assert.deepEqual(await second.json(), await first.json());
  assert.equal((await api.ok<{ items: unknown[] }>("GET", "/bans")).items.length, 1);

  const other = await api.call("POST", "/bans", { ...asked, body: ban("192.0.2.2") });
  assert.equal(other.status, 422);
  const elsewhere = await api.call("POST", "/bans", { ...asked, as: "operator@fleet" });
  assert.equal(elsewhere.status, 201, "keys are the token's own");
  api.arena.nowMs += 25 * 3_600_000;
  const later = await api.call("POST", "/bans", asked);
  assert.equal(later.headers.get("idempotency-replayed"), null);
});

test("a refused write may come again with its key, and a secret is not kept for a second showing", async () => {
  await using api = await openApi();
  const headers = { "idempotency-key": "key" };
  assert.equal((await api.call("DELETE", "/bans/1?reason=x", { headers })).status, 404);
  await api.ok("POST", "/bans", { body: ban("192.0.2.1") });
  assert.equal((await api.call("DELETE", "/bans/1?reason=x", { headers })).status, 200);

  const asked = { body: { name: "panel", role: "viewer" }, headers: { "idempotency-key": "token" } };
  const { token } = await api.ok<{ token: string }>("POST", "/tokens", asked);
  assert.equal((await api.call("POST", "/tokens", asked)).status, 409);
  const [kept] = await api.arena.store.rows<{ text: string }>(
    "select string_agg(row::text, '') as text from idempotency as row",
  );
  assert.ok(!kept?.text.includes(token));
});

test("an edit upon an older state is refused, and one upon the state that is there is made", async () => {
  await using api = await openApi();
  const seen = await api.call("GET", "/hosts/h1");
  const etag = seen.headers.get("etag") ?? "";
  const edit = (label: string) => api.call("PATCH", "/hosts/h1", { body: { label }, headers: { "if-match": etag } });
  const done = await edit("one");
  assert.equal(done.status, 200);
  assert.notEqual(done.headers.get("etag"), etag);
  const stale = await edit("two");
  assert.equal(stale.status, 412);
  assert.match((await problemOf(stale)).detail, /has changed since you read it/);

  await api.ok("PUT", "/policy", { body: { spread: null }, headers: { "if-match": '"0"' } });
  const late = await api.call("PUT", "/policy", { body: {}, headers: { "if-match": '"0"' } });
  assert.equal(late.status, 412);
});

test("a dry run says what would happen and leaves no trace, not even in the audit log", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  await api.ok("POST", "/bans", { body: ban("192.0.2.1") });
  await api.ok("POST", "/allow", { body: { net: "198.51.100.1", reason: "x" } });
  const { items: before } = await api.ok<{ items: unknown[] }>("GET", "/audit");
  const dry = async (method: string, path: string, body?: unknown) => {
    const where = `${path}${path.includes("?") ? "&" : "?"}dryRun=true`;
    const response = await api.call(method, where, body === undefined ? {} : { body });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return (response.status === 204 ? {} : await response.json()) as Record<string, unknown>;
  };
  assert.equal((await dry("POST", "/bans", ban("192.0.2.9"))).id, 0);
  assert.deepEqual((await dry("DELETE", "/bans?net=192.0.2.1&reason=x")).lifted, [1]);
  assert.deepEqual((await dry("DELETE", "/bans/1?reason=x")).lifted, [1]);
  assert.equal((await dry("PATCH", "/hosts/h1", { quarantined: true })).state, "quarantined");
  assert.equal((await dry("DELETE", "/hosts/h1")).state, "revoked");
  assert.equal((await dry("PATCH", "/tenants/acme", { trust: "full" })).trust, "full");
  assert.equal((await dry("POST", "/tenants", { name: "new" })).name, "new");
  assert.equal((await dry("PUT", "/policy", { spread: null })).version, 1);
  assert.equal((await dry("POST", "/tokens", { name: "x", role: "viewer" })).token, "");
  assert.equal((await dry("POST", "/enrollment-tokens", {})).token, "");
  assert.equal((await dry("POST", "/allow", { net: "192.0.2.0/28", reason: "x" })).id, 0);
  await dry("DELETE", "/allow/1");
  assert.deepEqual((await api.ok<{ items: unknown[] }>("GET", "/audit")).items, before);
  assert.equal((await api.ok<{ bans: { active: number } }>("GET", "/status")).bans.active, 1);
});

test("whoever asks too often is told when to come back", async () => {
  await using api = await openApi({ default: ["h1"] }, { perSecond: 0.001, burst: 2 });
  assert.equal((await api.call("GET", "/me")).status, 200);
  assert.equal((await api.call("GET", "/me")).status, 200);
  const third = await api.call("GET", "/me");
  assert.equal(third.status, 429);
  assert.ok(Number(third.headers.get("retry-after")) >= 1);
  assert.equal((await api.call("GET", "/me", { as: "viewer@fleet" })).status, 200, "others go on");
});

test("a compressed body is refused, whatever it would unfold to, and so is a form", async () => {
  await using api = await openApi();
  const send = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
    api.app.request("/api/v1/bans", {
      method: "POST",
      headers: { authorization: `Bearer ${api.token("admin@fleet")}`, ...headers },
      body,
    });
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  const zipped = await send(bomb, { "content-type": "application/json", "content-encoding": "gzip" });
  assert.equal(zipped.status, 415);
  assert.equal((await send("net=192.0.2.1", { "content-type": "application/x-www-form-urlencoded" })).status, 415);
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)) });
  const request = { method: "POST", body: endless, duplex: "half" } as const;
  const headers = { authorization: `Bearer ${api.token("admin@fleet")}`, "content-type": "application/json" };
  const response = await api.app.request(new Request("http://here/api/v1/bans", { ...request, headers }));
  assert.equal(response.status, 413);
});

test("every write stands in the audit log with who, before, after, why and the request", async () => {
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  const made = await api.call("POST", "/bans", { as: "operator@fleet", body: ban("192.0.2.1") });
  await api.ok("DELETE", "/bans/1?reason=ticket%201");
  await api.ok("PATCH", "/hosts/h1?reason=noisy", { body: { quarantined: true } });
  const token = await api.ok<{ id: number; token: string }>("POST", "/tokens", {
    body: { name: "panel", role: "viewer" },
  });
  await api.ok("DELETE", `/tokens/${token.id}`);
  await api.ok("POST", "/enrollment-tokens", { body: { tenant: "acme" } });
  await api.ok("DELETE", "/enrollment-tokens/1");
  await api.ok("PATCH", "/tenants/acme", { body: { quarantined: true } });
  await api.ok("POST", "/tenants", { body: { name: "new" } });
  await api.ok("PUT", "/policy", { body: { spread: null } });
  await api.ok("DELETE", "/hosts/web-1");
  type Entry = { action: string; actor: string; target: string; detail: Record<string, unknown> };
  const { items } = await api.ok<{ items: Entry[] }>("GET", "/audit");
  assert.deepEqual(items.map(({ action }) => action).toReversed(), [
    ...["ban", "unban", "change host", "add token", "revoke token", "add enrolment token", "revoke enrolment token"],
    ...["change tenant", "add tenant", "set policy", "revoke host"],
  ]);
  const first = items.at(-1);
  assert.deepEqual([first?.actor, first?.target, first?.detail.note], ["operator of fleet", "192.0.2.1/32", "test"]);
  assert.equal(first?.detail.requestId, made.headers.get("x-request-id"));
  assert.deepEqual(items.at(-3)?.detail.before, {
    ...{ tenant: "default", state: "active", observe: false, contribute: true, label: null },
  });
  assert.equal(items.at(-3)?.detail.note, "noisy");
  assert.ok(!JSON.stringify(items).includes(token.token));
  assert.deepEqual(await api.ok("GET", "/audit/verify"), { entries: 11, brokenAt: null });
  assert.deepEqual(api.revoked, ["Uweb-1"]);
});

test("the typed client speaks to the same API", async () => {
  await using api = await openApi();
  const client = openTypedClient("http://coordinator", api.token("operator@fleet"), async (input, init) =>
    api.app.request(input instanceof URL ? input.href : input, init),
  );
  const created = await client.bans.$post({ json: ban("192.0.2.1"), query: {}, header: {} });
  assert.equal(created.status, 201);
  const listed = await client.bans.$get({ query: { active: "true" } });
  assert.ok(listed.status === 200);
  const { items } = await listed.json();
  assert.deepEqual(
    items.map((each) => each.net),
    ["192.0.2.1/32"],
  );
});
