import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openPublisher } from "../server/feeds/publisher.ts";
import { failedLogin, type LiveFleet, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft");
const port = 22;
const jailLocal = "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 1\nbantime = 1h\n";

type Feed = Readonly<{ mode: string; entries: number; banned: number; problem: string | null }>;

let fleet: LiveFleet;
let peer: TrafficPeer;
const opened = new AsyncDisposableStack();
const publish = (...lines: readonly string[]) =>
  writeFileSync(join(fleet.dataDir, "feeds/list.txt"), lines.map((line) => `${line}\n`).join(""));
const refresh = () => fleet.api<Feed>("POST", "/feeds/ours/refresh");

before(async () => {
  if (skip !== false) return;
  fleet = opened.use(await openLiveFleet({ hosts: 2, namespaces: true, jailLocal }));
  const { network } = fleet;
  if (network === null) throw new Error("no namespaces");
  network.attacker.addAddress(...Array.from({ length: 9 }, (_, index) => `203.0.113.${index + 1}`));
  peer = opened.use(openPeer(network.attacker));
  await Promise.all(network.hosts.slice(0, 2).map((place) => opened.use(openPeer(place)).serve([port])));
  mkdirSync(join(fleet.dataDir, "feeds"));
});
after(() => opened.disposeAsync());

test("what a feed lists is stopped on every host once it is enforced, and not before", { skip }, async () => {
  publish("# ours", "203.0.113.1", "203.0.113.2", "203.0.113.3", "10.0.0.0/8");
  const feed = { name: "ours", source: "file:list.txt", note: "a test" };
  const { entries, problem } = await fleet.api<Feed>("POST", "/feeds", feed);
  assert.deepEqual([entries, problem], [3, null]);
  await knocks("203.0.113.1", "answered");
  await fleet.api("PATCH", "/feeds/ours", { mode: "enforce" });
  for (const last of [1, 2, 3]) await knocks(`203.0.113.${last}`, "stopped");
  await knocks("203.0.113.4", "answered");
});

test("a coordinator that starts again keeps feeds, and what leaves the list is let through", { skip }, async () => {
  await fleet.coordinator()[Symbol.asyncDispose]();
  await fleet.startCoordinator();
  await knocks("203.0.113.1", "stopped");
  publish("203.0.113.2", "203.0.113.3");
  assert.deepEqual((await refresh()).entries, 2);
  await knocks("203.0.113.1", "answered");
  await knocks("203.0.113.2", "stopped");
});

test("a host's own ban stays when the list lets an address go", { skip }, async () => {
  publish("203.0.113.3", "203.0.113.4");
  await refresh();
  await knocks("203.0.113.4", "stopped");
  const [host] = fleet.hosts;
  host?.append(failedLogin(host.name, "203.0.113.4", Date.now()));
  await waitFor(async () => {
    const { localBans } = await fleet.api<{ localBans: unknown[] }>("GET", "/explain?ip=203.0.113.4");
    return localBans.length > 0;
  }, "the host's own ban");
  publish("203.0.113.3");
  await refresh();
  await waitFor(async () => (await fleet.api<Feed>("GET", "/feeds/ours")).banned === 1, "the list to be followed");
  assert.notEqual(await peer.knock("203.0.113.4", placeOf(0), port), "answered");
});

test("what an admin lifts is let through and stays so, and an empty file lifts nothing", { skip }, async () => {
  await fleet.api("DELETE", "/bans?net=203.0.113.3&reason=our+office");
  await knocks("203.0.113.3", "answered");
  publish("203.0.113.3", "203.0.113.5");
  await refresh();
  await knocks("203.0.113.5", "stopped");
  await knocks("203.0.113.3", "answered");
  publish();
  assert.match((await refresh()).problem ?? "", /holds no entry/);
  await knocks("203.0.113.5", "stopped");
  const { degraded } = await fleet.api<{ degraded: string[] }>("GET", "/status");
  assert.ok(degraded.some((sentence) => sentence.startsWith("feed ours: holds no entry")));
});

test("a publisher that never answers does not keep the coordinator from ending in time", async () => {
  await using alone = await openLiveFleet({ hosts: 0, namespaces: false });
  const asked = Promise.withResolvers<void>();
  await using publisher = await openPublisher(() => asked.resolve());
  const feed = { name: "slow", source: publisher.url, note: "a test" };
  const adding = alone.api("POST", "/feeds", feed).catch(() => undefined);
  await asked.promise;
  const coordinator = alone.coordinator();
  const startedMs = performance.now();
  coordinator.signal("SIGTERM");
  assert.equal(await coordinator.ended, 0);
  // The program ends itself by force after ten, with exit code 1.
  assert.ok(performance.now() - startedMs < 20_000);
  await adding;
});

const placeOf = (index: number): string => fleet.hosts[index]?.place?.ipv4 ?? "";

async function knocks(from: string, wanted: "answered" | "stopped"): Promise<void> {
  for (const [index] of fleet.hosts.entries()) {
    await waitFor(
      async () => ((await peer.knock(from, placeOf(index), port)) === "answered") === (wanted === "answered"),
      `${from} to be ${wanted} by host ${index}`,
      30_000,
    );
  }
}
