import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type LiveHost, makeLiveHost } from "../support/live-host.ts";
import { namespacesMissing, openNetwork } from "../support/namespaces.ts";
import { waitFor } from "../support/wait-for.ts";

const skip = namespacesMissing("nft", "ipset", "iptables", "ip6tables");
const folder = mkdtempSync(join(tmpdir(), "f2b-host-firewall-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const address = "203.0.113.7";

async function ban({ run }: LiveHost): Promise<void> {
  const { code, stderr } = await run("ban", "sshd", address);
  assert.equal(code, 0, stderr);
}

test("an agent that is told to use another firewall leaves nothing in the one before", {
  skip,
  timeout: 120_000,
}, async () => {
  using network = openNetwork(1);
  const place = network.hosts[0] ?? assert.fail("no host");
  const host = makeLiveHost("mover", place, folder);
  const nft = async () => (await place.run(["nft", "list", "ruleset"])).stdout;
  const ipset = async () => (await place.run(["ipset", "save"])).stdout;
  for (const [firewall, inNft, inIpset] of [
    ["nftables", true, false],
    ["ipset", false, true],
    ["nftables", true, false],
    ["observe", false, false],
  ] as const) {
    writeFileSync(host.config, readFileSync(host.config, "utf8").replace(/^firewall: .*/m, `firewall: ${firewall}`));
    host.start();
    await using agent = host.agent();
    const status = await host.status();
    assert.equal(status.firewall.name, firewall);
    if (status.firewall.elements === 0) await ban(host);
    await waitFor(
      async () =>
        (await nft()).includes("table inet fleet2ban") === inNft && (await ipset()).includes(address) === inIpset,
      `${firewall} alone to hold the ban`,
    );
    agent.signal("SIGTERM");
    await agent.ended;
    assert.equal((await nft()).includes("table inet fleet2ban"), inNft, "stopping keeps the bans");
  }
});

test("a second agent on the same host is refused, whatever its state directory, and the first one's bans stand", {
  skip,
  timeout: 120_000,
}, async () => {
  using network = openNetwork(2);
  const [place, elsewhere] = network.hosts;
  assert(place !== undefined && elsewhere !== undefined);
  const first = makeLiveHost("first", place, folder);
  first.start();
  await using one = first.agent();
  await first.status();
  await ban(first);
  const second = makeLiveHost("second", place, folder);
  const refused = await second.run("run");
  assert.equal(refused.code, 69);
  assert.match(refused.stderr, /another fleet2ban agent holds this host's firewall; stop it first/);
  const uninstall = await second.run("uninstall");
  assert.equal(uninstall.code, 69);
  const listed = await place.run(["nft", "list", "table", "inet", "fleet2ban"]);
  assert.match(listed.stdout, /203\.0\.113\.7/);
  // Another network namespace is another firewall.
  const third = makeLiveHost("third", elsewhere, folder);
  third.start();
  await using other = third.agent();
  await third.status();
  for (const agent of [one, other]) agent.signal("SIGTERM");
});
