import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { noChange } from "../../../agent/firewall/firewall.ts";
import { ufwBackend } from "../../../agent/firewall/ufw.ts";
import { privateUfw } from "../../support/firewall-managers.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";

const skip = namespacesMissing("ufw", "conntrack", "unshare");
const setup = { verdict: "drop", allow: [] } as const;

// ufw does not see what is forwarded to a container, and the agent ends bans: there are no cells for them. An
// established connection that was cut does not resume, because the kernel was told to forget it.
test("ufw stops what is banned, new and established, through its reload, until it is lifted", {
  skip,
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-ufw-"));
  try {
    using network = openNetwork(1);
    const [host] = network.hosts;
    assert(host !== undefined);
    const banned = ["192.0.2.1", "203.0.113.5", "2001:db8:1::1", "192.0.2.2", "2001:db8:2::2"] as const;
    network.attacker.addAddress(...banned, "192.0.2.9");
    const run = privateUfw(host, folder);
    for (const command of [
      ["--force", "enable"],
      ["allow", "22,80/tcp"],
    ]) {
      const result = await run(["ufw", ...command]);
      assert.equal(result.code, 0, result.stdout + result.stderr);
    }
    await using server = openPeer(host);
    await using attacker = openPeer(network.attacker);
    await server.serve([22, 80]);
    const firewall = ufwBackend(run, "ufw", Date.now, "conntrack");
    await firewall.open(setup);
    const to = (from: string) => (from.includes(":") ? host.ipv6 : host.ipv4);
    const knocks = (port = 22) => Promise.all(banned.map((from) => attacker.knock(from, to(from), port)));
    const all = (outcome: string) => banned.map(() => outcome);
    const established = await Promise.all(banned.map((from) => attacker.connect(from, to(from), 22)));
    const ban = (net: string, ports: number[] | null = null) => ({ net, ports, untilMs: null });
    const add = [
      ...[ban("192.0.2.1/32"), ban("203.0.113.0/24"), ban("2001:db8:1::/64")],
      ...[ban("192.0.2.2/32", [22]), ban("2001:db8:2::/64", [22])],
    ];
    assert.deepEqual(await firewall.apply({ ...noChange, add }), { applied: 5, rejected: [] });
    assert.deepEqual(await knocks(), all("silent"));
    assert.deepEqual(await Promise.all(established.map((each) => each.echo())), all("silent"));
    assert.deepEqual((await knocks(80)).slice(3), ["answered", "answered"], "a ban of a port leaves the others open");
    assert.equal(await attacker.knock("192.0.2.9", host.ipv4, 22), "answered", "a neighbour");
    assert.equal(await firewall.health(), "ok");

    assert.equal((await run(["ufw", "reload"])).code, 0);
    assert.equal(await firewall.health(), "ok");
    assert.deepEqual(await knocks(), all("silent"));

    const next = ufwBackend(run, "ufw", Date.now, "conntrack");
    assert.deepEqual(await next.replaceAll(add.slice(1), setup), { applied: 4, rejected: [] });
    assert.deepEqual((await knocks()).slice(0, 2), ["answered", "silent"]);
    assert.equal(await next.health(), "ok");
    await next.teardown();
    assert.deepEqual(await knocks(), all("answered"));
    assert.doesNotMatch((await run(["ufw", "show", "added"])).stdout, /fleet2ban/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
