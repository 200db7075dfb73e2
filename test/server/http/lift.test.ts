import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApiArena, openApi } from "./open-api.ts";

type Lift = Readonly<{
  lifted: number;
  remaining: number;
  upTo: number;
  byLevel: Record<string, number>;
  scopes: readonly Readonly<{ scope: string; bans: number; lastBan: number; applied: number; total: number }>[];
  sample: readonly Readonly<{ net: string }>[];
}>;
const reason = "false-positive";
const filter = { net: "192.0.2.0/24" };

/** Five bans of the fleet in one network, one of a tenant there, and one elsewhere. */
async function openBanned(): Promise<ApiArena> {
  const api = await openApi({ default: ["h1", "h2"], acme: ["web-1"] });
  const ban = (net: string, scope: string) =>
    api.ok("POST", "/bans", { body: { net, scope, bantime: "1h", reason: "x" } });
  for (let index = 1; index <= 5; index += 1) await ban(`192.0.2.${index}`, "fleet");
  await ban("192.0.2.9", "tenant:acme");
  await ban("198.51.100.1", "fleet");
  return api;
}

const standing = async (api: ApiArena) =>
  (await api.ok<{ items: { net: string }[] }>("GET", "/bans?sort=oldest")).items.map(({ net }) => net);

test("a preview says how many match, where, and changes nothing", async () => {
  await using api = await openBanned();
  const found = await api.ok<Lift>("POST", "/bans/lift?dryRun=true", { body: { filter, reason } });
  assert.deepEqual([found.lifted, found.remaining, found.byLevel, found.upTo], [0, 6, { manual: 6 }, 6]);
  assert.deepEqual(found.scopes.map(({ scope, bans, applied, total }) => [scope, bans, applied, total]).toSorted(), [
    ["fleet", 5, 0, 3],
    ["tenant:acme", 1, 0, 1],
  ]);
  assert.equal(found.sample.length, 6);
  assert.equal((await standing(api)).length, 7);
});

test("all that match are lifted, a bounded number at a time, and what came after the preview stays", async () => {
  await using api = await openBanned();
  const { upTo } = await api.ok<Lift>("POST", "/bans/lift?dryRun=true", { body: { filter, reason } });
  await api.ok("POST", "/bans", { body: { net: "192.0.2.77", bantime: "1h", reason: "later" } });
  const body = { filter, reason, upTo, limit: 4 };
  const first = await api.ok<Lift>("POST", "/bans/lift", { body });
  assert.deepEqual([first.lifted, first.remaining], [4, 2]);
  assert.deepEqual(first.scopes, [{ scope: "fleet", bans: 4, lastBan: 4, applied: 0, total: 3 }]);
  const second = await api.ok<Lift>("POST", "/bans/lift", { body });
  assert.deepEqual([second.lifted, second.remaining], [2, 0]);
  assert.deepEqual(await standing(api), ["198.51.100.1/32", "192.0.2.77/32"]);
  assert.equal((await api.call("POST", "/bans/lift", { body })).status, 404);
  // As with one by one: the ladder forgets them, hosts are told, and the log says by which filter.
  const ended = await api.ok<{ items: { endReason: string }[] }>("GET", "/bans?active=false&net=192.0.2.3");
  assert.equal(ended.items[0]?.endReason, reason);
  const told = api.arena.commits.flatMap(({ orders }) => orders.flatMap((stretch) => stretch.orders));
  assert.equal(told.filter(({ kind }) => kind === "unban").length, 6);
  const audit = await api.ok<{ items: { target: string; detail: { before: object } }[] }>(
    "GET",
    "/audit?action=unban%20matching",
  );
  assert.deepEqual(
    audit.items.map(({ target, detail }) => [target, detail.before]),
    [
      ["net=192.0.2.0/24", { bans: 2, ids: [5, 6] }],
      ["net=192.0.2.0/24", { bans: 4, ids: [1, 2, 3, 4] }],
    ],
  );
});

test("an empty filter lifts nothing unless somebody writes that everything is meant", async () => {
  await using api = await openBanned();
  const refused = await api.call("POST", "/bans/lift", { body: { filter: {}, reason } });
  assert.equal(refused.status, 400);
  assert.match(await refused.text(), /name which bans are meant, or write all: true/);
  assert.equal((await api.call("POST", "/bans/lift", { body: { filter, reason, limit: 1001 } })).status, 400);
  const all = await api.ok<Lift>("POST", "/bans/lift", { body: { filter: {}, all: true, reason } });
  assert.deepEqual([all.lifted, all.remaining], [7, 0]);
});

test("the same request with the same key lifts once", async () => {
  await using api = await openBanned();
  const headers = { "idempotency-key": "once" };
  const body = { filter, reason, limit: 1 };
  const answers = await Promise.all([0, 1].map(() => api.call("POST", "/bans/lift", { body, headers })));
  assert.ok(answers.some(({ status }) => status === 200));
  assert.equal((await api.call("POST", "/bans/lift", { body, headers })).status, 200);
  assert.equal((await standing(api)).length, 6);
});
