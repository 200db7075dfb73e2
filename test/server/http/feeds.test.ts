import assert from "node:assert/strict";
import { test } from "node:test";
import type { z } from "zod";
import type { Explanation } from "../../../server/http/explain.ts";
import type { Feed, FeedWithLifted } from "../../../server/http/feeds.ts";
import { hourMs } from "../../../shared/durations.ts";
import { addresses, goodList, openPublisher, type Publisher, plain } from "../feeds/publisher.ts";
import { startMs } from "../ingest/arena.ts";
import { type ApiArena, openApi } from "./open-api.ts";

type FeedRow = z.infer<typeof Feed>;

const newFeed = (publisher: Pick<Publisher, "url">) => ({ name: "drop", source: publisher.url, note: "a test" });
const explained = (api: ApiArena, as: "admin@fleet" | "viewer@acme" = "admin@fleet") =>
  api.ok<z.infer<typeof Explanation>>("GET", "/explain?ip=198.51.0.7", { as });
const patch = (api: ApiArena, body: unknown) => api.ok<FeedRow>("PATCH", "/feeds/drop", { body });

test("a feed's life: observed, enforced, explained, lifted in part, restored, removed; and the log of all of it", async () => {
  await using publisher = await openPublisher(plain(goodList));
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  const added = await api.ok<FeedRow>("POST", "/feeds", { body: newFeed(publisher) });
  assert.deepEqual([added.mode, added.entries, added.banned, added.problem], ["observe", 200, 0, null]);
  assert.match(
    (await explained(api)).summary,
    /is not banned.* Feed drop has listed it since .*, and bans nobody: it is only observed\.$/,
  );

  const { mode } = await patch(api, { mode: "enforce" });
  await api.feeds.settle();
  const banned = await explained(api);
  assert.deepEqual([mode, banned.banned, banned.bans[0]?.reason], ["enforce", true, "feed drop"]);
  assert.match(
    banned.summary,
    /is banned \(fleet, on every port\).*: feed drop.* Feed drop has listed it since .*\(fetched at 2026-11-22T09:00Z\)\.$/,
  );
  const status = await api.ok<{ bans: { byLevel: Record<string, number> } }>("GET", "/status");
  assert.deepEqual(status.bans.byLevel, { feed: 200 });
  const text = await (await api.call("GET", "/exports/bans.txt")).text();
  assert.equal(text.split("\n").length, 2, "others' lists are not ours to give away");

  await api.ok("DELETE", "/bans?net=198.51.0.7&reason=our%20office");
  api.arena.nowMs = startMs + hourMs;
  await api.ok("POST", "/feeds/drop/refresh", { as: "operator@fleet" });
  await api.feeds.settle();
  const lifted = await explained(api);
  assert.match(
    lifted.summary,
    /is not banned.* Feed drop .*; admin of fleet lifted that at 2026-11-22T09:00Z, and it stays lifted\.$/,
  );
  const details = await api.ok<z.infer<typeof FeedWithLifted>>("GET", "/feeds/drop");
  assert.deepEqual(
    details.lifted.map(({ net, note }) => [net, note]),
    [["198.51.0.7/32", "our office"]],
  );

  await api.ok("DELETE", "/feeds/drop/lifted?net=198.51.0.7");
  await api.feeds.settle();
  assert.equal((await explained(api)).banned, true);

  await api.ok("DELETE", "/feeds/drop?reason=not%20worth%20it");
  await api.feeds.settle();
  assert.equal((await explained(api)).banned, false);
  assert.deepEqual(await api.ok("GET", "/feeds"), { items: [] });
  const audit = await api.ok<{ items: { action: string }[] }>("GET", "/audit");
  assert.deepEqual(
    audit.items.map(({ action }) => action),
    ["remove feed", "restore feed entry", "unban", "change feed", "take feed", "add feed"],
  );
});

test("a feed whose publisher fails is added, says why, and cannot be enforced before it has given a list", async () => {
  await using publisher = await openPublisher(plain("<html>Buy now</html>", "text/html"));
  await using api = await openApi();
  const added = await api.ok<FeedRow>("POST", "/feeds", { body: newFeed(publisher) });
  assert.deepEqual([added.why, added.good], ["type", null]);
  const refused = await api.call("PATCH", "/feeds/drop", { body: { mode: "enforce" } });
  assert.match(await refused.text(), /has not been fetched yet: observe it, look at what it lists, then enforce it/);
  assert.match(await (await api.app.request("/metrics")).text(), /f2b_feed_downloads_total\{result="type"\} 1/);
  assert.deepEqual(api.feeds.problems().length, 1);
});

test("another source has to be observed first, and a feed in force keeps none of the old one's entries", async () => {
  await using publisher = await openPublisher(plain(goodList));
  await using api = await openApi();
  await api.ok("POST", "/feeds", { body: newFeed(publisher) });
  await patch(api, { mode: "enforce" });
  const other = `${publisher.url}?other`;
  assert.equal((await api.call("PATCH", "/feeds/drop", { body: { source: other } })).status, 409);
  publisher.answer = plain(addresses(10, 500).join("\n"));
  const moved = await patch(api, { source: other, mode: "observe" });
  await api.feeds.settle();
  assert.deepEqual([moved.entries, moved.problem], [10, null]);
  assert.equal((await api.ok<FeedRow>("GET", "/feeds/drop")).banned, 0);
  publisher.answer = plain("");
  const gone = await patch(api, { source: `${publisher.url}?gone` });
  assert.deepEqual([gone.entries, gone.good, gone.why], [0, null, "empty"]);
  assert.equal((await api.call("PATCH", "/feeds/drop", { body: { mode: "enforce" } })).status, 409);
});

test("a list that halved is taken when an admin says so, and not when an operator does", async () => {
  await using publisher = await openPublisher(plain(goodList));
  await using api = await openApi();
  await api.ok("POST", "/feeds", { body: newFeed(publisher) });
  publisher.answer = plain(addresses(100).join("\n"));
  const refused = await api.ok<FeedRow>("POST", "/feeds/drop/refresh");
  assert.deepEqual([refused.why, refused.entries], ["changed", 200]);
  assert.match(refused.problem ?? "", /fleet2ban feeds refresh drop --accept-size/);
  const path = "/feeds/drop/refresh?acceptSize=true";
  assert.equal((await api.call("POST", path, { as: "operator@fleet" })).status, 403);
  assert.equal((await api.ok<FeedRow>("POST", path)).entries, 100);
});

test("a dry run changes nothing and says what is wrong, and an edit of what has changed since is refused", async () => {
  await using publisher = await openPublisher(plain(goodList));
  await using api = await openApi();
  await api.ok("POST", "/feeds?dryRun=true", { body: newFeed(publisher) });
  assert.deepEqual([await api.ok("GET", "/feeds"), publisher.asked.length], [{ items: [] }, 0]);
  const { etag } = await api.ok<FeedRow>("POST", "/feeds", { body: newFeed(publisher) });
  await patch(api, { note: "another" });
  const headers = { "if-match": `"${etag}"` };
  assert.equal((await api.call("PATCH", "/feeds/drop", { body: { mode: "off" }, headers })).status, 412);
  assert.equal((await api.call("POST", "/feeds", { body: newFeed(publisher) })).status, 409);
  await api.ok("PATCH", "/feeds/drop?dryRun=true", { body: { mode: "off" } });
  assert.equal((await api.ok<FeedRow>("GET", "/feeds/drop")).mode, "observe");
});

for (const [field, value] of Object.entries({
  source: "http://lists.example.org/",
  every: "1m",
  ttl: "1h",
  entriesMax: 100_001,
})) {
  test(`a feed's ${field} has bounds, and the answer names it`, async () => {
    await using api = await openApi();
    const body = { ...newFeed({ url: "https://lists.example.org/" }), [field]: value };
    const response = await api.call("POST", "/feeds", { body });
    assert.equal(response.status, 400);
    assert.match(await response.text(), new RegExp(`"detail":"${field}: `));
  });
}

test("a tenant learns of a feed when it bans an address, and nothing else", async () => {
  await using publisher = await openPublisher(plain(goodList));
  await using api = await openApi({ default: ["h1"], acme: ["web-1"] });
  await api.ok("POST", "/feeds", { body: newFeed(publisher) });
  assert.deepEqual((await explained(api, "viewer@acme")).feeds, []);
  await patch(api, { mode: "enforce" });
  await api.feeds.settle();
  assert.deepEqual(
    (await explained(api, "viewer@acme")).feeds.map(({ feed }) => feed),
    ["drop"],
  );
  assert.equal((await api.call("GET", "/feeds", { as: "admin@acme" })).status, 403);
});
