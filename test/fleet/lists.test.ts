import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { failedLogin, type LiveFleet, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { processesWith } from "../support/processes.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft");
const port = 22;
/** Five failures ban locally; three over the fleet do so everywhere. */
const jailLocal =
  "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 5\n" +
  "[strict]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = LOGFILE-strict\nmaxretry = 1\nport = ssh\n";

type Ban = Readonly<{ id: number; net: string; scope: string }>;

let fleet: LiveFleet;
let peer: TrafficPeer;
const peers = new AsyncDisposableStack();

before(async () => {
  if (skip !== false) return;
  fleet = await openLiveFleet({ hosts: 3, namespaces: true, jailLocal });
  peers.use(fleet);
  const { network } = fleet;
  if (network === null) throw new Error("no namespaces");
  network.attacker.addAddress(...Array.from({ length: 20 }, (_, index) => `203.0.113.${index + 1}`));
  peer = peers.use(openPeer(network.attacker));
  await Promise.all(
    network.hosts.slice(0, 3).map((place) => {
      const server = peers.use(openPeer(place));
      return server.serve([port]);
    }),
  );
});
after(() => peers.disposeAsync());

test("an allow lifts a ban on every host, and what it covers is not banned again", { skip }, async () => {
  const address = "203.0.113.1";
  await banBy(address, 3);
  await fleet.api("POST", "/allow", { net: address, reason: "an office" });
  await reaches(address, fleet.hosts);
  fail(address, 4, hostAt(1));
  await counted(address, 7);
  assert.deepEqual(await bansOf(address), []);
  await reaches(address, fleet.hosts);
});

test("a tenant's allow is stronger than what its hosts ban by themselves", { skip }, async () => {
  const address = "203.0.113.2";
  fail(address, 5, hostAt(0));
  await blockedOn(address, fleet.hosts);
  await fleet.api("POST", "/allow", { net: address, tenant: "default", reason: "an office" });
  await reaches(address, fleet.hosts);
  fail(address, 5, hostAt(1));
  await counted(address, 10);
  await reaches(address, fleet.hosts);
});

test("a never lifts a ban, and neither an admin nor a host may ban what it covers", { skip }, async () => {
  const [address, other] = ["203.0.113.3", "203.0.113.4"];
  await banBy(address, 3);
  await fleet.api("POST", "/never", { net: `${address}/32`, reason: "our monitoring" });
  await reaches(address, fleet.hosts);
  const byHand = { net: address, scope: "fleet", bantime: "1h", reason: "by mistake" };
  await assert.rejects(fleet.api("POST", "/bans", byHand), /409 .*never/);
  // What the host reads after them is in force, so they have had their effect.
  fail(address, 5, hostAt(1));
  fail(other, 5, hostAt(1));
  await blockedOn(other, [hostAt(1)]);
  await reaches(address, fleet.hosts);
});

test("the coordinator knows how many packets each host's firewall has stopped", { skip }, async () => {
  type Host = Readonly<{ blocked: readonly { list: string; packets: number }[] }>;
  const address = "203.0.113.19";
  const ban = (net: string) => fleet.api("POST", "/bans", { net, scope: "fleet", bantime: "1h", reason: "a test" });
  await ban(address);
  await blockedOn(address, fleet.hosts);
  const { firewall } = await hostAt(0).status();
  const stopped = firewall.stopped.find(({ name }) => name === "all4")?.packets ?? 0;
  assert.ok(stopped > 0);
  // A report follows whatever a host has carried out.
  await ban("203.0.113.20");
  const told = await waitFor(async () => {
    const { blocked } = await fleet.api<Host>("GET", `/hosts/${hostAt(0).name}`);
    return blocked.find(({ list, packets }) => list === "all4" && packets >= stopped);
  }, "the host's count");
  const stats = await waitFor(
    async () => {
      const all = await fleet.api<Host>("GET", "/stats");
      return all.blocked.some(({ list, packets }) => list === "all4" && packets >= told.packets) ? all : undefined;
    },
    "the fleet's count",
    30_000,
  );
  assert.deepEqual(
    stats.blocked.map(({ list }) => list),
    [...new Set(stats.blocked.map(({ list }) => list))],
  );
  const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
  assert.match(metrics, /^f2b_blocked_packets_total\{list="net6"\} 0$/m);
});

test("explain names the host that bans by itself, and an unban through the API lifts that ban", { skip }, async () => {
  const address = "203.0.113.5";
  appendFileSync(`${hostAt(1).logFile}-strict`, `${failedLogin("host2", address, Date.now())}\n`);
  await blockedOn(address, [hostAt(1)]);
  const explanation = await waitFor(async () => {
    const answer = await fleet.api<Explanation>("GET", `/explain?ip=${address}`);
    return answer.localBans.length > 0 ? answer : undefined;
  }, "the host's own ban to be reported");
  assert.deepEqual(
    explanation.localBans.map(({ host, jail }) => ({ host, jail })),
    [{ host: "host2", jail: "strict" }],
  );
  assert.ok(explanation.banned);
  assert.match(explanation.summary, /host2/);
  assert.deepEqual(await bansOf(address), [], "one failure is no ban of the fleet");
  await reaches(address, [hostAt(0), hostAt(2)]);
  await fleet.api("DELETE", `/bans?net=${address}&reason=a+customer`);
  await reaches(address, fleet.hosts);
  assert.deepEqual((await fleet.api<Explanation>("GET", `/explain?ip=${address}`)).localBans, []);
});

test("a ban by hand for a tenant or a host reaches only those", { skip }, async () => {
  const hostBan = { net: "203.0.113.10", scope: "host:default/host1", bantime: "1h", reason: "only there" };
  await fleet.api("POST", "/bans", hostBan);
  await blockedOn("203.0.113.10", [hostAt(0)]);
  await reaches("203.0.113.10", fleet.hosts.slice(1));

  const tenantBan = { net: "203.0.113.11", scope: "tenant:default", bantime: "1h", reason: "all of the tenant" };
  await fleet.api("POST", "/bans", tenantBan);
  await blockedOn("203.0.113.11", fleet.hosts);

  await fleet.api("POST", "/tenants", { name: "other", trust: "vote" });
  const otherBan = { net: "203.0.113.12", scope: "tenant:other", bantime: "1h", reason: "not ours" };
  await fleet.api("POST", "/bans", otherBan);
  // The order after it has arrived everywhere, so this one had its time.
  await fleet.api<Ban>("POST", "/bans", { ...tenantBan, net: "203.0.113.13" });
  await blockedOn("203.0.113.13", fleet.hosts);
  await reaches("203.0.113.12", fleet.hosts);
});

test("a host that is told to observe lets the fleet's bans through and keeps its own, and says so everywhere", {
  skip,
}, async () => {
  const [fleets, own] = ["203.0.113.14", "203.0.113.15"];
  const observer = hostAt(2);
  await fleet.api("POST", "/bans", { net: fleets, scope: "fleet", bantime: "1h", reason: "a test" });
  await blockedOn(fleets, fleet.hosts);
  await fleet.api("PATCH", `/hosts/${observer.name}`, { observe: true });
  await reaches(fleets, [observer]);
  await blockedOn(fleets, fleet.hosts.slice(0, 2));
  appendFileSync(`${observer.logFile}-strict`, `${failedLogin(observer.name, own, Date.now())}\n`);
  await blockedOn(own, [observer]);
  assert.equal((await observer.status()).fleet?.observes, true);
  assert.match(
    (await observer.run("status")).stdout,
    /observes +told by the coordinator: its bans are kept and NOT ENFORCED/,
  );
  await waitFor(async () => {
    const { bans } = await fleet.api<Explanation>("GET", `/explain?ip=${fleets}`);
    return bans[0]?.inForceOn.applied === 2 && bans[0].inForceOn.total === 3;
  }, "the ban to be in force on two of three hosts");
  assert.match(await (await fetch(`${fleet.url}/metrics`)).text(), /^f2b_hosts_observing 1$/m);

  await observer.agent()[Symbol.asyncDispose]();
  observer.start();
  await waitFor(async () => (await observer.status()).fleet?.inSync, "the restarted agent", 60_000);
  await reaches(fleets, [observer]);
  await blockedOn(own, [observer]);
  await fleet.api("PATCH", `/hosts/${observer.name}`, { observe: false });
  await blockedOn(fleets, fleet.hosts);
});

test("SIGTERM ends every program with exit code 0 and leaves no process behind", { skip }, async () => {
  const programs = [fleet.coordinator(), ...fleet.hosts.map((host) => host.agent())];
  const startedMs = performance.now();
  for (const program of programs) program.signal("SIGTERM");
  assert.deepEqual(await Promise.all(programs.map((program) => program.ended)), [0, 0, 0, 0]);
  // The programs end themselves by force after less than this, with exit code 1.
  assert.ok(performance.now() - startedMs < 20_000);
  const left = processesWith(fleet.workDir).filter((command) => !command.includes("bridge-end"));
  assert.deepEqual(left, []);
  assert.notEqual(await peer.knock("203.0.113.11", hostAt(0).place?.ipv4 ?? "", port), "answered", "the bans stay");
});

function hostAt(index: number): LiveHost {
  const host = fleet.hosts[index];
  if (host === undefined) throw new Error(`no host ${index}`);
  return host;
}

function fail(address: string, times: number, host: LiveHost): void {
  host.append(...Array.from({ length: times }, () => failedLogin(host.name, address, Date.now())));
}

/** Fails so often on the first host and waits until the fleet stops the address on every host. */
async function banBy(address: string, times: number): Promise<Ban> {
  await reaches(address, fleet.hosts);
  fail(address, times, hostAt(0));
  await blockedOn(address, fleet.hosts);
  const [ban] = await bansOf(address);
  if (ban === undefined) throw new Error(`${address} is blocked without a ban`);
  return ban;
}

async function bansOf(address: string): Promise<Ban[]> {
  return (await fleet.api<{ items: Ban[] }>("GET", `/bans?net=${address}`)).items;
}

function counted(address: string, lines: number) {
  return waitFor(async () => {
    const [row] = await fleet.query<{ sum: number }>(
      "select coalesce(sum(count), 0)::int as sum from failures where address = $1::inet",
      [address],
    );
    return (row?.sum ?? 0) >= lines;
  }, `${lines} failures of ${address} to be counted`);
}

type Explanation = Readonly<{
  banned: boolean;
  summary: string;
  bans: readonly Readonly<{ inForceOn: Readonly<{ applied: number; total: number }> }>[];
  localBans: readonly Readonly<{ host: string; jail: string }>[];
}>;

const reaches = (address: string, hosts: readonly LiveHost[]) => outcome(address, hosts, true);
const blockedOn = (address: string, hosts: readonly LiveHost[]) => outcome(address, hosts, false);

/** By real connections, tried until it is so. */
async function outcome(address: string, hosts: readonly LiveHost[], answered: boolean): Promise<void> {
  await Promise.all(
    hosts.map((host) =>
      waitFor(
        async () => ((await peer.knock(address, host.place?.ipv4 ?? "", port)) === "answered") === answered,
        `${address} ${answered ? "to reach" : "to be blocked on"} ${host.name}`,
        20_000,
      ),
    ),
  );
}
