import assert from "node:assert/strict";
import { test } from "node:test";
import { addRule, takeBackRule, unbanById } from "../../../server/ingest/admin-acts.ts";
import { prune } from "../../../server/jobs/prune.ts";
import { deleteException, listExceptions } from "../../../server/store/feed-entries.ts";
import { claimFeed, findFeed, markRemoved, updateFeed } from "../../../server/store/feeds.ts";
import { activeSet } from "../../../server/store/orders.ts";
import { dayMs, hourMs, minuteMs } from "../../../shared/durations.ts";
import { startMs, toldOf } from "../ingest/arena.ts";
import { openFeedArena } from "./feed-arena.ts";
import { addresses, badAnswers, goodList, plain } from "./publisher.ts";

const act = { by: "anna", note: "a customer's office" };
const list = (...lines: readonly string[]) => plain(lines.map((line) => `${line}\n`).join(""));
const few = ["192.0.2.1", "192.0.2.2", "203.0.113.0/24"];
const fewNets = ["192.0.2.1/32", "192.0.2.2/32", "203.0.113.0/24"];

test("a new feed only observes: what it lists is known and nobody is banned, until an admin enforces it", async () => {
  await using feeds = await openFeedArena(list(...few), { mode: "observe" });
  await feeds.keeper.run();
  const { report, goodMs } = await feeds.feed();
  assert.deepEqual([report?.listed, goodMs, await feeds.banned()], [3, startMs, []]);
  await updateFeed(feeds.arena.store, "drop", { mode: "enforce" }, startMs);
  await feeds.keeper.settle();
  assert.deepEqual(await feeds.banned(), fewNets);
});

test("agents are ordered what a feed lists, as no person's will, and the snapshot says the same", async () => {
  await using feeds = await openFeedArena(list("192.0.2.1"));
  await feeds.keeper.run();
  const [told] = toldOf(feeds.arena, "fleet");
  const untilMs = startMs + 2 * dayMs;
  assert.deepEqual(told?.order, { kind: "ban", id: 1, net: "192.0.2.1/32", untilMs, ports: null, level: 0 });
  assert.deepEqual((await activeSet(feeds.arena.store, "fleet")).standing, [told?.order]);
});

test("what leaves a list is lifted, what joins it is banned, and hosts keep what they banned themselves", async () => {
  await using feeds = await openFeedArena(list(...few));
  await feeds.keeper.run();
  feeds.publisher.answer = list("192.0.2.2", "203.0.113.0/24", "192.0.2.3");
  feeds.arena.nowMs += hourMs;
  await feeds.keeper.run();
  assert.deepEqual(await feeds.banned(), ["192.0.2.2/32", "192.0.2.3/32", "203.0.113.0/24"]);
  // Unless it expired, an unban ends the hosts' own bans as well.
  const unbans = toldOf(feeds.arena, "fleet").flatMap(({ order }) => (order.kind === "unban" ? [order] : []));
  assert.deepEqual(unbans, [{ kind: "unban", id: 1, net: "192.0.2.1/32", reason: "expired" }]);
});

test("P9: whatever a publisher turns into, the last good list is kept, and it is said aloud", async () => {
  await using feeds = await openFeedArena(plain(goodList));
  await feeds.keeper.run();
  const before = await feeds.banned();
  assert.equal(before.length, 200);
  for (const [what, [why, answer]] of Object.entries(badAnswers)) {
    feeds.publisher.answer = answer;
    feeds.patience.ms = why === "too-slow" ? 300 : 60_000;
    feeds.arena.nowMs += 20 * minuteMs;
    await feeds.keeper.refresh("drop", false);
    await feeds.keeper.settle();
    const feed = await feeds.feed();
    assert.equal(feed.why, why, `${what}: ${feed.problem}`);
    assert.deepEqual(await feeds.banned(), before, what);
    assert.deepEqual(feeds.keeper.problems().length, 1, what);
    assert.match(feeds.keeper.problems()[0] ?? "", /^feed drop: .+\(its list of .+ ago is kept\)$/, what);
  }
  assert.ok(Object.keys(badAnswers).length >= 12);
  feeds.publisher.answer = plain(goodList);
  await feeds.keeper.refresh("drop", false);
  assert.deepEqual([feeds.keeper.problems(), (await feeds.feed()).problem], [[], null]);
});

test("a person may accept another size once", async () => {
  await using feeds = await openFeedArena(plain(goodList));
  await feeds.keeper.run();
  feeds.publisher.answer = list(...addresses(40));
  await feeds.keeper.refresh("drop", false);
  assert.equal((await feeds.feed()).why, "changed");
  await feeds.keeper.refresh("drop", true);
  await feeds.keeper.settle();
  assert.equal((await feeds.banned()).length, 40);
});

test("a list that cannot be had any more ends after its time, to the second, and comes back with its publisher", async () => {
  await using feeds = await openFeedArena(list(...few));
  await feeds.keeper.run();
  feeds.publisher.answer = (response) => void response.writeHead(503).end();
  feeds.arena.nowMs = startMs + dayMs - 1;
  await feeds.keeper.run();
  assert.deepEqual(await feeds.banned(), fewNets);
  feeds.arena.nowMs += 1;
  await feeds.keeper.run();
  assert.deepEqual(await feeds.banned(), []);
  assert.match(feeds.keeper.problems()[0] ?? "", /nothing is banned because of it; was answered with status 503/);
  feeds.publisher.answer = list(...few);
  await feeds.keeper.refresh("drop", false);
  await feeds.keeper.settle();
  assert.deepEqual(await feeds.banned(), fewNets);
});

test("while a list is good its bans never end, though hosts that are cut off keep none for ever", async () => {
  await using feeds = await openFeedArena(list(...few));
  for (let days = 0; days < 5; days += 0.25) {
    feeds.arena.nowMs = startMs + days * dayMs;
    await feeds.arena.writer.turn(null, async (turn) => turn.apply({ kind: "tick" }));
    await feeds.keeper.run();
    assert.deepEqual(await feeds.banned(), fewNets, `day ${days}`);
  }
  const bans = toldOf(feeds.arena, "fleet").flatMap(({ order }) => (order.kind === "ban" ? [order] : []));
  assert.equal(bans.length, 15, "each net anew once a day");
  for (const { untilMs } of bans) assert.ok(untilMs !== null);
});

test("what a person lifts does not come back with the next list, whatever network the list then names it by", async () => {
  await using feeds = await openFeedArena(list(...few));
  await feeds.keeper.run();
  await unbanById(feeds.arena.writer, act, 1, "admin");
  for (const again of [few, ["192.0.2.0/24", "203.0.113.0/24"]]) {
    feeds.publisher.answer = list(...again);
    feeds.arena.nowMs += hourMs;
    await feeds.keeper.run();
    const banned = await feeds.banned();
    assert.ok(!banned.includes("192.0.2.1/32") && !banned.includes("192.0.2.0/24"), banned.join());
  }
  const [exception] = await listExceptions(feeds.arena.store, "drop", 10);
  assert.deepEqual([exception?.net, exception?.madeBy, exception?.note], ["192.0.2.1/32", "anna", act.note]);
  assert.ok(await deleteException(feeds.arena.store, "drop", "192.0.2.1/32"));
  await feeds.keeper.settle();
  assert.deepEqual(await feeds.banned(), ["192.0.2.0/24", "203.0.113.0/24"]);
});

test("an allow lifts what it covers and keeps it lifted; without it the list holds again, also one that has not changed", async () => {
  await using feeds = await openFeedArena((response, { headers }) => {
    const isKnown = headers["if-none-match"] === `"7"`;
    response.writeHead(isKnown ? 304 : 200, { etag: `"7"` }).end(isKnown ? "" : few.join("\n"));
  });
  await feeds.keeper.run();
  const rule = { kind: "allow", net: "192.0.2.1", tenant: null, reason: "ours", untilMs: null } as const;
  const { id } = await addRule(feeds.arena.writer, act, rule);
  assert.deepEqual(await feeds.banned(), ["192.0.2.2/32", "203.0.113.0/24"]);
  await feeds.keeper.refresh("drop", false);
  await feeds.keeper.settle();
  assert.deepEqual(await feeds.banned(), ["192.0.2.2/32", "203.0.113.0/24"]);
  assert.equal((await feeds.feed()).report?.leftOut.allowed, 1);
  await takeBackRule(feeds.arena.writer, act, "allow", id);
  await feeds.keeper.refresh("drop", false);
  await feeds.keeper.settle();
  assert.deepEqual(await feeds.banned(), fewNets);
});

test("switching a feed off lifts all of it, removing it leaves nothing, and two feeds do not lift each other's", async () => {
  await using feeds = await openFeedArena(list(...few));
  await feeds.add({ name: "other" });
  await feeds.keeper.run();
  await updateFeed(feeds.arena.store, "drop", { mode: "off" }, startMs);
  await feeds.keeper.settle();
  assert.deepEqual([await feeds.banned(), await feeds.banned("other")], [[], fewNets]);
  await markRemoved(feeds.arena.store, "other", startMs);
  await feeds.keeper.settle();
  assert.deepEqual([await feeds.banned("other"), await findFeed(feeds.arena.store, "other")], [[], undefined]);
});

test("of two coordinators one fetches a feed, and one that starts anew knows what there is", async () => {
  await using feeds = await openFeedArena(list(...few));
  await using other = await feeds.another();
  await Promise.all([feeds.keeper.run(), other.run()]);
  assert.equal(feeds.publisher.asked.length, 1);
  await feeds.arena.writer.close();
  feeds.arena.writer = await feeds.arena.another();
  feeds.publisher.answer = list("192.0.2.2", "203.0.113.0/24");
  feeds.arena.nowMs += hourMs;
  await using third = await feeds.another();
  await third.run();
  assert.deepEqual(await feeds.banned(), ["192.0.2.2/32", "203.0.113.0/24"]);
  const { judge } = await feeds.arena.writer.turn(null, async (turn) => turn).then(({ result }) => result);
  assert.equal(judge.size().standing, 2);
});

test("a download is claimed once, however many saw that it is due; a person may always ask for one", async () => {
  await using feeds = await openFeedArena(list(...few));
  const { store } = feeds.arena;
  const due = { nowMs: startMs, retryMs: 15 * minuteMs, isDue: true };
  const claims = await Promise.all([1, 2, 3].map(() => claimFeed(store, "drop", due)));
  assert.equal(claims.filter((claim) => claim !== undefined).length, 1);
  assert.equal((await claimFeed(store, "drop", { ...due, isDue: false }))?.name, "drop");
  // Whoever claimed it may have died.
  assert.equal((await claimFeed(store, "drop", { ...due, nowMs: startMs + due.retryMs }))?.name, "drop");
});

test("a coordinator that dies while it bans a list leaves the rest to the next one", async () => {
  await using feeds = await openFeedArena(list(...addresses(1500)));
  await feeds.keeper.refresh("drop", false);
  let committed = 0;
  feeds.arena.commits.push = (...commits) => {
    committed += 1;
    // The first thousand are in; then the plug.
    if (committed === 1) feeds.arena.faultAt = "written";
    return Array.prototype.push.apply(feeds.arena.commits, commits);
  };
  await assert.rejects(feeds.keeper.settle(), /pulled the plug/);
  const left = (await feeds.banned()).length;
  assert.ok(left < 1500, `${left}`);
  await feeds.keeper.settle();
  assert.equal((await feeds.banned()).length, 1500);
});

test("the past of a feed's bans is forgotten after a week: a list comes and goes every day", async () => {
  await using feeds = await openFeedArena(list(...few));
  await feeds.keeper.run();
  await updateFeed(feeds.arena.store, "drop", { mode: "off" }, startMs);
  await feeds.keeper.settle();
  assert.equal((await prune(feeds.arena.store, startMs + 7 * dayMs)).bans, 0);
  // The highest id stays, as always.
  assert.equal((await prune(feeds.arena.store, startMs + 7 * dayMs + 1)).bans, 2);
});
