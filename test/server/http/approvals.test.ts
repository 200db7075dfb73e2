import assert from "node:assert/strict";
import { test } from "node:test";
import { dayMs } from "../../../shared/durations.ts";
import { type ApiArena, openApi } from "./open-api.ts";

type Approval = Readonly<{ id: number; state: string; why: string; made: number | null; mayApprove: boolean }>;
type Page<T> = Readonly<{ items: readonly T[] }>;
const fleet = { default: ["h1"], acme: ["web-1"], other: ["db-1"] };
const wide = { net: "203.0.0.0/16", bantime: "1h", reason: "a botnet's home" };

/** The status of a request, and its answer. */
async function ask<T = Approval>(api: ApiArena, ...[method, path, asked]: Parameters<ApiArena["call"]>) {
  const response = await api.call(method, path, asked);
  return { status: response.status, body: (await response.json()) as T & { detail: string } };
}

const standing = async (api: ApiArena) => (await api.ok<Page<{ net: string; by: string }>>("GET", "/bans")).items;

test("a ban wider than one admin may make holds once a second one approves it, and carries both names", async () => {
  await using api = await openApi(fleet);
  const asked = await ask(api, "POST", "/bans", { body: wide, as: "operator@fleet" });
  assert.deepEqual([asked.status, asked.body.state, asked.body.mayApprove], [202, "waiting", false]);
  assert.match(asked.body.why, /wider than \/24 \(limits\.widestBan\)/);
  assert.deepEqual(await standing(api), []);
  const { id } = asked.body;
  const done = await ask(api, "POST", `/approvals/${id}/approve?reason=seen`, { as: "admin@fleet" });
  assert.deepEqual([done.status, done.body.state], [200, "approved"]);
  const bans = await standing(api);
  assert.deepEqual(
    bans.map(({ net, by }) => [net, by]),
    [["203.0.0.0/16", "operator of fleet, approved by admin of fleet"]],
  );
  assert.equal((await ask(api, "POST", `/approvals/${id}/approve`)).status, 409);
  const audit = await api.ok<Page<{ action: string; actor: string }>>("GET", "/audit?target=203.0.0.0/16");
  assert.deepEqual(
    audit.items.map(({ action, actor }) => `${actor}: ${action}`),
    [
      "admin of fleet: approve ban",
      "operator of fleet, approved by admin of fleet: ban",
      "operator of fleet: ask to ban",
    ],
  );
  assert.deepEqual(await api.ok("GET", "/audit/verify"), { entries: 3, brokenAt: null });
});

test("whoever asked cannot approve, nor can an operator, and a dry run leaves nothing behind", async () => {
  await using api = await openApi(fleet);
  const dry = await ask(api, "POST", "/bans?dryRun=true", { body: wide });
  assert.deepEqual([dry.status, dry.body.id], [202, 0]);
  assert.deepEqual((await api.ok<Page<Approval>>("GET", "/approvals")).items, []);
  const { id } = (await ask(api, "POST", "/bans", { body: wide })).body;
  const own = await ask(api, "POST", `/approvals/${id}/approve`);
  assert.deepEqual(
    [own.status, own.body.detail],
    [403, `you asked for ${id} yourself; a second admin must approve it`],
  );
  assert.equal((await ask(api, "POST", `/approvals/${id}/approve`, { as: "operator@fleet" })).status, 403);
  assert.equal((await ask(api, "POST", `/approvals/${id}/reject`, { as: "operator@fleet" })).status, 403);
  // Another token under the asker's name is no second person.
  const token = { name: "admin of fleet", role: "admin" };
  const twin = await api.ok<{ token: string }>("POST", "/tokens", { body: token });
  const headers = { authorization: `Bearer ${twin.token}` };
  assert.equal((await ask(api, "POST", `/approvals/${id}/approve`, { headers })).status, 403);
  assert.deepEqual(await standing(api), []);
  const taken = await ask(api, "POST", `/approvals/${id}/reject?reason=changed%20my%20mind`);
  assert.deepEqual([taken.status, taken.body.state], [200, "rejected"]);
});

test("an allow of the whole fleet as wide as that must end, waits, and lifts what it covers when it is approved", async () => {
  await using api = await openApi(fleet);
  await api.ok("POST", "/bans", { body: { net: "198.51.100.7", bantime: "1h", reason: "x" } });
  const net = "198.51.0.0/16";
  const endless = await ask(api, "POST", "/allow", { body: { net, reason: "a CDN" } });
  assert.equal(endless.status, 400);
  assert.match(endless.body.detail, /it must end: say when/);
  const body = { net, reason: "a CDN", duration: "30d" };
  const { status, body: asked } = await ask(api, "POST", "/allow", { body, as: "operator@fleet" });
  assert.equal(status, 202);
  assert.equal((await standing(api)).length, 1);
  const done = await ask(api, "POST", `/approvals/${asked.id}/approve`);
  assert.equal(done.body.state, "approved");
  assert.deepEqual(await standing(api), []);
  const rules = await api.ok<Page<{ id: number; net: string; until: string }>>("GET", "/allow");
  assert.deepEqual([rules.items[0]?.id, rules.items[0]?.net], [done.body.made, net]);
  assert.equal(Date.parse(rules.items[0]?.until ?? ""), api.arena.nowMs + 30 * dayMs);
  // A tenant's allow concerns nobody else.
  assert.equal((await ask(api, "POST", "/allow", { body: { net, reason: "x", tenant: "acme" } })).status, 201);
});

test("what the lists forbid nobody is asked for, and a list that came later still wins", async () => {
  await using api = await openApi(fleet);
  const reserved = { ...wide, net: "10.0.0.0/12" };
  assert.equal((await ask(api, "POST", "/bans", { body: reserved })).status, 409);
  const { id } = (await ask(api, "POST", "/bans", { body: wide, as: "operator@fleet" })).body;
  await api.ok("POST", "/never", { body: { net: "203.0.113.7", reason: "our gateway" } });
  const late = await ask(api, "POST", `/approvals/${id}/approve`);
  assert.equal(late.status, 409);
  assert.match(late.body.detail, /never-listed addresses \(203\.0\.113\.7\/32\)/);
  assert.deepEqual(await standing(api), []);
  assert.equal((await ask(api, "GET", `/approvals/${id}`)).body.state, "waiting");
});

test("nobody approves what is a week old", async () => {
  await using api = await openApi(fleet);
  const { id } = (await ask(api, "POST", "/bans", { body: wide, as: "operator@fleet" })).body;
  api.arena.nowMs += 7 * dayMs;
  assert.equal((await ask(api, "GET", `/approvals/${id}`)).body.state, "expired");
  assert.equal((await ask(api, "POST", `/approvals/${id}/approve`)).status, 409);
  assert.deepEqual((await api.ok<Page<Approval>>("GET", "/approvals")).items, []);
  assert.equal((await api.ok<Page<Approval>>("GET", "/approvals?waiting=false")).items.length, 1);
});

test("a tenant has its own second admin, and sees nobody else's requests", async () => {
  await using api = await openApi(fleet);
  await api.ok("POST", "/bans", { body: wide });
  const body = { ...wide, scope: "tenant:acme" };
  const { body: asked } = await ask(api, "POST", "/bans", { body, as: "operator@acme" });
  for (const as of ["admin@other", "admin@acme"] as const) {
    const seen = (await api.ok<Page<Approval>>("GET", "/approvals", { as })).items.map(({ id }) => id);
    assert.deepEqual(seen, as === "admin@acme" ? [asked.id] : [], as);
  }
  assert.equal((await ask(api, "POST", `/approvals/${asked.id}/approve`, { as: "admin@other" })).status, 404);
  assert.equal((await ask(api, "POST", "/approvals/1/approve", { as: "admin@acme" })).status, 404);
  const done = await ask(api, "POST", `/approvals/${asked.id}/approve`, { as: "admin@acme" });
  assert.equal(done.body.state, "approved");
});

test("requests cannot pile up without end", async () => {
  await using api = await openApi(fleet);
  await api.arena.store.rows(
    `insert into approvals (kind, net, scope, why, reason, asked_by, asked_token, asked_ms, until_ms, state)
     select 'ban', '203.0.0.0/16', 'fleet', 'x', 'x', 'x', 1, $1::bigint, $1 + 1000, 'waiting' from generate_series(1, 200)`,
    [api.arena.nowMs],
  );
  const refused = await ask(api, "POST", "/bans", { body: wide });
  assert.equal(refused.status, 409);
  assert.match(refused.body.detail, /200 requests wait .*decide some first/);
});
