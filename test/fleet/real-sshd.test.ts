import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type LiveFleet, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing, type TestHost } from "../support/namespaces.ts";
import { failToLogIn, sshdPrograms, sshPort, startSshd } from "../support/real-sshd.ts";
import { openPeer, type TrafficPeer } from "../support/traffic.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft", ...sshdPrograms);
const opened = new AsyncDisposableStack();
let fleet: LiveFleet;
let peer: TrafficPeer;
let attacker: TestHost;

before(async () => {
  if (skip !== false) return;
  fleet = opened.use(await openLiveFleet({ hosts: 3, namespaces: true }));
  const { network, hosts, workDir } = fleet;
  if (network === null) throw new Error("no namespaces");
  attacker = network.attacker;
  attacker.addAddress(...[1, 2, 3, 4].map((number) => `203.0.113.${number}`));
  const [traditional, iso, other] = hosts;
  opened.use(await sshdOn(traditional, workDir, "traditional"));
  opened.use(await sshdOn(iso, workDir, "iso"));
  if (other?.place) await opened.use(openPeer(other.place)).serve([sshPort]);
  peer = opened.use(openPeer(attacker));
});
after(() => opened.disposeAsync());

const cases = [
  { dates: "traditional", host: 0, address: "203.0.113.1", neighbour: "203.0.113.2" },
  { dates: "iso", host: 1, address: "203.0.113.3", neighbour: "203.0.113.4" },
] as const;

for (const { dates, host, address, neighbour } of cases) {
  test(`failed logins at a real sshd close every host for that address (${dates} dates)`, { skip }, async () => {
    const attacked = fleet.hosts[host]?.place?.ipv4 ?? "";
    const unseen = fleet.hosts[2]?.place?.ipv4 ?? "";
    await everywhere(address, "answered");
    const connection = await peer.connect(address, unseen, sshPort);
    for (const user of ["root", "nobody", "root"]) await failToLogIn(attacker, address, attacked, user);
    await everywhere(address, "closed");
    assert.notEqual(await connection.echo(), "answered", "a connection that stood is cut on a host that saw nothing");
    await everywhere(neighbour, "answered");

    const { items } = await fleet.api<{ items: { id: number; reason: string }[] }>("GET", `/bans?net=${address}`);
    assert.deepEqual(
      items.map(({ reason }) => reason),
      ["jail sshd"],
    );
    await fleet.api("DELETE", `/bans/${items[0]?.id}?reason=test`);
    await everywhere(address, "answered");
  });
}

function sshdOn(host: LiveHost | undefined, workDir: string, dates: "traditional" | "iso"): Promise<AsyncDisposable> {
  if (host?.place === undefined || host.place === null) throw new Error("no host");
  return startSshd(host.place, join(workDir, `sshd-${dates}`), host.logFile, dates);
}

/** By real connections to all three hosts, tried until it is so. */
async function everywhere(address: string, wanted: "answered" | "closed"): Promise<void> {
  const hosts = fleet.hosts.map(({ name, place }) => ({ name, to: place?.ipv4 ?? "" }));
  await Promise.all(
    hosts.map(({ name, to }) =>
      waitFor(
        async () => ((await peer.knock(address, to, sshPort)) === "answered") === (wanted === "answered"),
        `${address} at ${name}: ${wanted}`,
        20_000,
      ),
    ),
  );
}
