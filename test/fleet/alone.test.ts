import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { failedLogin, openLiveFleet } from "../support/live-fleet.ts";
import { type LiveHost, makeLiveHost } from "../support/live-host.ts";
import { namespacesMissing, openNetwork, type TestNetwork } from "../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft");
const port = 22;
const jailLocal =
  "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 3\nbantime = 1h\n" +
  "[short]\nenabled = true\nfilter = sshd\nport = ssh\nbackend = polling\nlogpath = LOGFILE-short\nmaxretry = 1\nbantime = 4s\n";
const [banned, neighbour, brief, third] = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"] as const;

const opened = new AsyncDisposableStack();
let host: LiveHost;
let peer: TrafficPeer;

before(async () => {
  if (skip !== false) return;
  const workDir = mkdtempSync(join(tmpdir(), "fleet2ban-alone-"));
  opened.defer(() => rmSync(workDir, { recursive: true, force: true }));
  const network = opened.use(openNetwork(1));
  host = makeLiveHost("alone", network.hosts[0] ?? null, workDir, { jailLocal });
  opened.defer(() => host.agent()[Symbol.asyncDispose]());
  host.start();
  peer = await openTraffic(network, opened);
  await host.status();
});
after(() => opened.disposeAsync());

test("an agent without a coordinator bans from its log, and only whom it shall", { skip }, async () => {
  await reaches(banned);
  const connection = await peer.connect(banned, ipOf(host), port);
  fail(host, banned, 3);
  await blocked(banned);
  assert.notEqual(await connection.echo(), "answered", "the connection that stood is cut, too");
  await reaches(neighbour);
});

test("a local ban ends by itself when its time is over", { skip }, async () => {
  appendFileSync(`${host.logFile}-short`, `${failedLogin("alone", brief, Date.now())}\n`);
  await blocked(brief);
  await reaches(brief);
  await waitFor(async () => !(await bannedBy("short")).includes(brief), "the jail to forget it");
});

test("kill -9 opens no door, and the restarted agent knows its bans", { skip }, async () => {
  host.agent().signal("SIGKILL");
  await host.agent().ended;
  assert.notEqual(await peer.knock(banned, ipOf(host), port), "answered");
  fail(host, third, 3);
  // As after a reboot: the kernel has forgotten everything.
  await host.place?.run(["nft", "flush", "ruleset"]);
  await reaches(banned);
  host.start();
  await blocked(banned);
  await blocked(third);
  await reaches(neighbour);
  assert.deepEqual((await bannedBy("sshd")).toSorted(), [banned, third]);
});

test("agent unban lifts a ban at once, and says so when there is none", { skip }, async () => {
  const { code, stdout } = await host.run("unban", banned);
  assert.equal(code, 0, stdout);
  await reaches(banned);
  await blocked(third);
  const again = await host.run("unban", banned);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /203\.0\.113\.1 is not banned here/);
});

test("an agent cut off from its fleet keeps the bans, makes its own, and catches up", { skip }, async () => {
  await using fleet = await openLiveFleet({ hosts: 2, namespaces: true, jailLocal });
  const { network } = fleet;
  const [cut, other] = fleet.hosts;
  if (network === null || cut === undefined || other === undefined) throw new Error("no namespaces");
  await using traffic = new AsyncDisposableStack();
  peer = await openTraffic(network, traffic);
  const banByHand = (net: string) =>
    fleet.api<{ id: number }>("POST", "/bans", { net, scope: "fleet", bantime: "1h", reason: "test" });
  const kept = await banByHand(banned);
  await Promise.all([blocked(banned, cut), blocked(banned, other)]);

  await cut.place?.run(["nft", "-f", "-"], cutOff);
  fail(cut, third, 3);
  await blocked(third, cut);
  await waitFor(async () => (await cut.status()).fleet?.connected === false, "the agent to notice");
  await fleet.api("DELETE", `/bans/${kept.id}?reason=test`);
  await banByHand(brief);
  await Promise.all([reaches(banned, other), blocked(brief, other)]);
  await Promise.all([blocked(banned, cut), reaches(brief, cut), reaches(third, other), reaches(neighbour, cut)]);

  await cut.place?.run(["nft", "delete", "table", "inet", "cut"]);
  await Promise.all([reaches(banned, cut), blocked(brief, cut)]);
  await blocked(third, other);
});

/** No word to the coordinator any more, and none back. */
const cutOff =
  "table inet cut { chain out { type filter hook output priority 0; tcp dport 4222 reject with tcp reset; }; }";

const ipOf = ({ place }: LiveHost) => place?.ipv4 ?? "";
const reaches = (address: string, where = host) => outcome(address, where, true);
const blocked = (address: string, where = host) => outcome(address, where, false);

function fail(where: LiveHost, address: string, times: number): void {
  where.append(...Array.from({ length: times }, () => failedLogin(where.name, address, Date.now())));
}

async function bannedBy(jail: string): Promise<string[]> {
  const { jails } = await host.status();
  return jails.find(({ name }) => name === jail)?.banned.map(({ id }) => id) ?? [];
}

/** The attackers' end, and a service on every host. */
async function openTraffic({ attacker, hosts }: TestNetwork, stack: AsyncDisposableStack): Promise<TrafficPeer> {
  attacker.addAddress(banned, neighbour, brief, third);
  await Promise.all(hosts.map((place) => stack.use(openPeer(place)).serve([port])));
  return stack.use(openPeer(attacker));
}

async function outcome(address: string, where: LiveHost, answered: boolean): Promise<void> {
  const tried = async () => ((await peer.knock(address, ipOf(where), port)) === "answered") === answered;
  await waitFor(tried, `${address} ${answered ? "to reach" : "to be blocked on"} ${where.name}`);
}
