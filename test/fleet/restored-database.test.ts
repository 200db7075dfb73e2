import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { canaryBanId } from "../../shared/order.ts";
import { OrderSet, type Standing } from "../../shared/order-set.ts";
import { type LiveFleet, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft");
const port = 22;
/** By what becomes of them: seen from the copy, `later` is not yet banned, `lifted` not yet lifted, `ended` not yet over. */
const address = {
  kept: "203.0.113.1",
  lifted: "203.0.113.2",
  ended: "203.0.113.3",
  later: "203.0.113.4",
  afterwards: "203.0.113.5",
} as const;

test("hosts that know more than a restored database follow it, whatever it says, and an operator is told", {
  skip,
}, async () => {
  await using opened = new AsyncDisposableStack();
  const fleet = opened.use(await openLiveFleet({ hosts: 2, namespaces: true }));
  const { network, hosts } = fleet;
  if (network === null) throw new Error("no namespaces");
  network.attacker.addAddress(...Object.values(address));
  await Promise.all(hosts.map((host) => host.place && opened.use(openPeer(host.place)).serve([port])));
  const peer = opened.use(openPeer(network.attacker));
  const ban = (net: string, bantime = "1h") =>
    fleet.api<{ id: number }>("POST", "/bans", { net, scope: "fleet", bantime, reason: "test" });
  const are = (answered: boolean, ...addresses: string[]) =>
    Promise.all(hosts.flatMap((host) => addresses.map((each) => outcome(peer, each, host, answered))));

  await ban(address.kept);
  const lifted = await ban(address.lifted);
  const ended = await ban(address.ended, "20s");
  await are(false, address.kept, address.lifted, address.ended);

  const cluster = join(fleet.dataDir, "postgres", "cluster");
  const copy = join(fleet.workDir, "copy");
  await stop(fleet);
  execFileSync("cp", ["-a", cluster, copy]);
  await fleet.startCoordinator();
  await inStep(fleet);
  const epoch = await epochOf(fleet);
  await fleet.api("DELETE", `/bans/${lifted.id}?reason=test`);
  const later = await ban(address.later);
  await are(true, address.lifted, address.ended);
  await are(false, address.kept, address.later);

  await stop(fleet);
  // Copied as the user of PostgreSQL, whose it has to stay.
  execFileSync("rm", ["-r", cluster]);
  execFileSync("cp", ["-a", copy, cluster]);
  await fleet.startCoordinator();
  await waitFor(async () => (await epochOf(fleet)) > epoch, "the order log to begin a new life", 120_000);
  await inStep(fleet);
  await are(false, address.kept, address.lifted);
  // What was over meanwhile stays over, though the copy had it in force.
  await are(true, address.ended, address.later);
  const { degraded } = await fleet.api<{ degraded: string[] }>("GET", "/status");
  assert.match(degraded.join("\n"), /the database was found to be an older copy/);
  assert.match(readFileSync(join(fleet.workDir, "coordinator.log"), "utf8"), /order_log_rewound/);

  // Its number was another ban's, which the hosts have heard of.
  const afterwards = await ban(address.afterwards);
  assert.equal(afterwards.id, later.id);
  await are(false, address.kept, address.afterwards);
  await are(true, address.later);
  await inStep(fleet);
  const hash = await hashOf(fleet);
  for (const host of hosts) {
    const positions = (await host.status()).fleet?.scopes ?? [];
    assert.equal(positions.find(({ scope }) => scope === "fleet")?.hash, hash, host.name);
  }
  assert.notEqual(ended.id, later.id);
});

async function stop(fleet: LiveFleet): Promise<void> {
  fleet.coordinator().signal("SIGTERM");
  await fleet.coordinator().ended;
}

async function epochOf(fleet: LiveFleet): Promise<number> {
  const [row] = await fleet.query<{ value: number }>("select value from meta where key = 'orderEpoch'");
  return Number(row?.value);
}

/** Every host has reported that it holds what the coordinator wants it to. */
async function inStep(fleet: LiveFleet): Promise<void> {
  const arrived = async () => {
    const { hosts } = await fleet.api<{ hosts: { connected: number; lagging: number } }>("GET", "/status");
    const states = await Promise.all(fleet.hosts.map((host) => host.status()));
    return hosts.connected === states.length && hosts.lagging === 0 && states.every((each) => each.fleet?.inSync);
  };
  await waitFor(arrived, "every host to be in step", 120_000);
}

/** Of what the database says stands in the fleet, and the canary. */
async function hashOf(fleet: LiveFleet): Promise<string> {
  const rows = await fleet.query<{
    id: string;
    net: string;
    until: string;
    ports: number[] | null;
    level: number | null;
  }>("select id, net::text, until_ms as until, ports, level from bans where scope = 'fleet' and ended_ms is null");
  const canary: Standing = {
    kind: "ban",
    id: canaryBanId,
    net: "198.51.100.0/32",
    untilMs: null,
    ports: null,
    level: null,
  };
  const set = new OrderSet();
  const standing = rows.map(
    (row): Standing => ({ kind: "ban", ...row, id: Number(row.id), untilMs: Number(row.until) }),
  );
  set.replace([...standing, canary], 0);
  return set.hash;
}

async function outcome(peer: TrafficPeer, from: string, host: LiveHost, answered: boolean): Promise<void> {
  const tried = async () => ((await peer.knock(from, host.place?.ipv4 ?? "", port)) === "answered") === answered;
  await waitFor(tried, `${from} ${answered ? "to reach" : "to be blocked on"} ${host.name}`, 60_000);
}
