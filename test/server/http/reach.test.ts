import assert from "node:assert/strict";
import { test } from "node:test";
import { openApi } from "./open-api.ts";

type Reach = Readonly<{ scopes: { scope: string; applied: number; total: number; waiting: string[] }[] }>;
type Entries = Readonly<{ items: { sequence: number; action: string }[] }>;

test("the audit log says which hosts an act has reached, and a tenant reads of its own only", async () => {
  await using api = await openApi({ default: ["h1", "h2"], acme: ["web-1"], other: ["db-1"] });
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: "1h", reason: "x", scope: "tenant:acme" } });
  api.arena.nowMs += 1;
  await api.ok("POST", "/bans", { body: { net: "192.0.2.1", bantime: "1h", reason: "x" } });
  api.arena.nowMs += 1;
  await api.ok("POST", "/tenants", { body: { name: "new" } });
  await api.arena.store.rows("update hosts set order_epoch = 1, fleet_revision = 1 where host in ('h1', 'db-1')");
  const { items } = await api.ok<Entries>("GET", "/audit");
  const reachOf = async (action: string, nth = 0) => {
    const entry = items.filter((each) => each.action === action)[nth];
    return (await api.ok<Reach>("GET", `/audit/${entry?.sequence}/reach`)).scopes;
  };
  assert.deepEqual(await reachOf("ban"), [{ scope: "fleet", applied: 2, total: 4, waiting: ["h2", "web-1"] }]);
  assert.deepEqual(await reachOf("ban", 1), [{ scope: "tenant:acme", applied: 0, total: 1, waiting: ["web-1"] }]);
  assert.deepEqual(await reachOf("add tenant"), []);
  assert.equal((await api.call("GET", "/audit/999/reach")).status, 404);
  const own = items.find((each) => each.action === "ban" && each.sequence === 1)?.sequence;
  assert.equal((await api.call("GET", `/audit/${own}/reach`, { as: "admin@acme" })).status, 200);
  assert.equal((await api.call("GET", `/audit/${own}/reach`, { as: "admin@other" })).status, 404);
});

test("a trial of a policy says how far it is, and nothing when none runs", async () => {
  await using api = await openApi();
  assert.equal(await api.ok("GET", "/policy/trial"), null);
  const running = api.ok("POST", "/policy/trial", { body: { spread: null } });
  const seen = new Set<string>();
  const look = async (): Promise<void> => void seen.add(JSON.stringify(await api.ok("GET", "/policy/trial")));
  let isDone = false;
  const ended = running.then(() => {
    isDone = true;
  });
  while (!isDone) await look();
  await ended;
  assert.ok(
    [...seen].some((each) => /^\{"done":\d+,"total":\d+\}$/.test(each)),
    [...seen].join(),
  );
  assert.equal(await api.ok("GET", "/policy/trial"), null);
});
