import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { noChange } from "../../../agent/firewall/firewall.ts";
import { firewalldBackend } from "../../../agent/firewall/firewalld.ts";
import { startFirewalld } from "../../support/firewall-managers.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";

const skip = namespacesMissing("firewalld", "firewall-cmd", "dbus-daemon", "conntrack", "unshare");
const setup = { verdict: "drop", allow: [] } as const;
const hour = 3_600_000;

// A ban of some ports stops every port, and the agent ends bans: there are no cells for them. An established connection
// that was cut does not resume, because the kernel was told to forget it.
test("firewalld stops what is banned, new and established, also what is forwarded to a container, until it is lifted", {
  skip,
  timeout: 240_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-firewalld-"));
  const started: ChildProcess[] = [];
  try {
    using network = openNetwork(2);
    const [host, container] = network.hosts;
    assert(host !== undefined && container !== undefined);
    const banned = ["192.0.2.1", "203.0.113.5", "2001:db8:1::1"] as const;
    network.attacker.addAddress(...banned, "192.0.2.9");
    const run = await startFirewalld(host, folder, started);
    const say = async (...words: string[]) => {
      const result = await run(["firewall-cmd", ...words]);
      assert.equal(result.code, 0, `${words.join(" ")}: ${result.stderr}`);
    };
    for (const word of ["--add-port=22/tcp", "--add-interface=eth0", "--add-forward", "--add-masquerade"]) {
      await say("--permanent", "--zone=public", word);
    }
    await say(
      "--permanent",
      "--zone=public",
      `--add-forward-port=port=8080:proto=tcp:toport=80:toaddr=${container.ipv4}`,
    );
    await say("--reload");
    await using server = openPeer(host);
    await using inside = openPeer(container);
    await using attacker = openPeer(network.attacker);
    await server.serve([22]);
    await inside.serve([80]);
    const firewall = firewalldBackend(run, "firewall-cmd", Date.now, "conntrack");
    await firewall.open(setup);
    const to = (from: string) => (from.includes(":") ? host.ipv6 : host.ipv4);
    const knocks = (port = 22) => Promise.all(banned.map((from) => attacker.knock(from, to(from), port)));
    assert.deepEqual(await knocks(), ["answered", "answered", "answered"]);
    assert.equal(await attacker.knock("192.0.2.1", host.ipv4, 8080), "answered");
    const established = await Promise.all(banned.map((from) => attacker.connect(from, to(from), 22)));
    const nets = ["192.0.2.0/30", "203.0.113.5/32", "2001:db8:1::/64"];
    const add = nets.map((net) => ({ net, ports: null, untilMs: Date.now() + hour }));
    assert.deepEqual(await firewall.apply({ ...noChange, add }), { applied: 3, rejected: [] });
    assert.deepEqual(await knocks(), ["silent", "silent", "silent"]);
    assert.deepEqual(await Promise.all(established.map((each) => each.echo())), ["silent", "silent", "silent"]);
    assert.equal(await attacker.knock("192.0.2.1", host.ipv4, 8080), "silent", "a published port");
    assert.equal(await attacker.knock("192.0.2.9", host.ipv4, 22), "answered", "a neighbour");
    assert.equal(await firewall.health(), "ok");
    await firewall.apply({ ...noChange, renew: [{ ...add[0], net: "192.0.2.0/30", ports: null, untilMs: null }] });
    assert.equal((await firewall.list()).find(({ net }) => net === "192.0.2.0/30")?.expiresInMs, null);

    await say("--reload");
    assert.equal(await firewall.health(), "tampered", "a reload forgets what is not permanent");
    await firewall.replaceAll(add, setup);
    assert.deepEqual(await knocks(), ["silent", "silent", "silent"]);

    const next = firewalldBackend(run, "firewall-cmd", Date.now, "conntrack");
    assert.deepEqual(await next.replaceAll(add.slice(1), setup), { applied: 2, rejected: [] });
    assert.deepEqual(await knocks(), ["answered", "silent", "silent"]);
    await next.teardown();
    assert.deepEqual(await knocks(), ["answered", "answered", "answered"]);
    assert.doesNotMatch((await run(["firewall-cmd", "--permanent", "--get-ipsets"])).stdout, /fleet2ban/);
  } finally {
    for (const child of started) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});
