import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type FirewallBackend, noChange } from "../../../agent/firewall/firewall.ts";
import { ipsetBackend } from "../../../agent/firewall/ipset.ts";
import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import { commandRunner, type RunCommand } from "../../../agent/firewall/run-command.ts";
import { privateUfw, startFirewalld } from "../../support/firewall-managers.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";

// What else is on a VPS: our bans must hold beside it, and it must go on as before.

const skip = namespacesMissing("nft", "ipset", "iptables", "ip6tables");
const setup = { verdict: "drop", allow: [] } as const;
const backends: Readonly<Record<string, (run: RunCommand) => FirewallBackend>> = {
  nftables: (run) => nftablesBackend(run, "nft", Date.now),
  ipset: (run) => ipsetBackend(run, { ipset: "ipset", iptables: "iptables", ip6tables: "ip6tables" }, Date.now),
};
const must = async (run: RunCommand, ...commands: readonly string[]): Promise<void> => {
  for (const command of commands) {
    const result = await run(command.split(" "));
    assert.equal(result.code, 0, `${command}: ${result.stderr}${result.stdout}`);
  }
};
const ban = (net: string, ports: number[] | null = null) => ({ net, ports, untilMs: null });

for (const [manager, events, last] of [
  ["ufw", ["ufw reload"], "ufw disable"],
  ["firewalld", ["firewall-cmd --reload", "firewall-cmd --complete-reload"], undefined],
] as const) {
  const missing = skip === false ? namespacesMissing(manager === "ufw" ? "ufw" : "firewalld", "unshare") : skip;
  test(`nftables beside ${manager}: bans hold through its reloads, and its own rules do too`, {
    skip: missing,
    timeout: 120_000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "f2b-beside-"));
    const started: ChildProcess[] = [];
    try {
      using network = openNetwork(1);
      const host = network.hosts[0] ?? assert.fail("no host");
      const banned = ["192.0.2.1", "203.0.113.5", "2001:db8:1::1"] as const;
      network.attacker.addAddress(...banned, "192.0.2.9");
      const run = manager === "ufw" ? privateUfw(host, folder) : await startFirewalld(host, folder, started);
      if (manager === "ufw") await must(run, "ufw --force enable", "ufw allow 22/tcp");
      else await must(run, "firewall-cmd --permanent --add-port=22/tcp", "firewall-cmd --reload");
      await using server = openPeer(host);
      await using attacker = openPeer(network.attacker);
      await server.serve([22, 80]);
      const to = (from: string) => (from.includes(":") ? host.ipv6 : host.ipv4);
      const knocks = () => Promise.all(banned.map((from) => attacker.knock(from, to(from), 22)));
      const established = await Promise.all(banned.map((from) => attacker.connect(from, to(from), 22)));
      const firewall = nftablesBackend(host.run, "nft", Date.now);
      await firewall.open(setup);
      const add = [ban("192.0.2.1"), ban("203.0.113.0/24"), ban("2001:db8:1::/64", [22])];
      await firewall.apply({ ...noChange, add });
      for (const event of ["", ...events]) {
        if (event !== "") await must(run, event);
        assert.equal(await firewall.health(), "ok", event);
        assert.deepEqual(await knocks(), ["silent", "silent", "silent"], event);
        const echoes = await Promise.all(established.map((each) => each.echo()));
        assert.deepEqual(echoes, ["silent", "silent", "silent"], event);
        assert.equal(await attacker.knock("192.0.2.9", host.ipv4, 22), "answered", event);
        assert.notEqual(
          await attacker.knock("192.0.2.9", host.ipv4, 80),
          "answered",
          `${manager} still guards 80 ${event}`,
        );
      }
      if (last === undefined) for (const child of started) child.kill("SIGTERM");
      else await must(run, last);
      assert.deepEqual(await knocks(), ["silent", "silent", "silent"]);
      await firewall.apply({ ...noChange, remove: add });
      assert.equal((await knocks()).filter((outcome) => outcome === "silent").length, 0);
    } finally {
      for (const child of started) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

for (const [name, open] of Object.entries(backends)) {
  test(`${name} beside Docker's rules: who is banned reaches no published port, of both families`, {
    skip,
    timeout: 120_000,
  }, async () => {
    using network = openNetwork(2);
    const [host, container] = network.hosts;
    assert(host !== undefined && container !== undefined);
    for (const [tables, inside, forwarding] of [
      ["iptables", `${container.ipv4}`, "net.ipv4.ip_forward=1"],
      ["ip6tables", `[${container.ipv6}]`, "net.ipv6.conf.all.forwarding=1"],
    ] as const) {
      const plain = inside.replace(/[[\]]/g, "");
      await must(
        host.run,
        `sysctl -qw ${forwarding}`,
        `${tables} -t nat -N DOCKER`,
        `${tables} -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER`,
        `${tables} -t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination ${inside}:80`,
        `${tables} -t nat -A POSTROUTING -j MASQUERADE`,
        `${tables} -P FORWARD DROP`,
        `${tables} -N DOCKER`,
        `${tables} -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
        `${tables} -A FORWARD -j DOCKER`,
        `${tables} -A DOCKER -d ${plain} -p tcp --dport 80 -j ACCEPT`,
      );
    }
    const cases = [
      { from: "192.0.2.1", ban: ban("192.0.2.1") },
      { from: "192.0.2.2", ban: ban("192.0.2.2", [8080]) },
      { from: "2001:db8:1::1", ban: ban("2001:db8:1::/64") },
      { from: "2001:db8:2::2", ban: ban("2001:db8:2::2", [8080]) },
    ];
    network.attacker.addAddress(...cases.map(({ from }) => from));
    await using server = openPeer(host);
    await using inside = openPeer(container);
    await using attacker = openPeer(network.attacker);
    await server.serve([22]);
    await inside.serve([80]);
    const to = (from: string) => (from.includes(":") ? host.ipv6 : host.ipv4);
    const knocks = (port: number) => Promise.all(cases.map(({ from }) => attacker.knock(from, to(from), port)));
    const all = (outcome: string) => cases.map(() => outcome);
    assert.deepEqual(await knocks(8080), all("answered"));
    const established = await Promise.all(cases.map(({ from }) => attacker.connect(from, to(from), 8080)));
    const firewall = open(host.run);
    await firewall.open(setup);
    await firewall.apply({ ...noChange, add: cases.map((each) => each.ban) });
    assert.deepEqual(await knocks(8080), all("silent"));
    assert.deepEqual(await Promise.all(established.map((each) => each.echo())), all("silent"));
    assert.deepEqual(await knocks(22), ["silent", "answered", "silent", "answered"]);
    assert.equal(await attacker.knock("198.51.100.200", host.ipv4, 8080), "answered", "a neighbour");
    await firewall.apply({ ...noChange, remove: cases.map((each) => each.ban) });
    assert.deepEqual(await knocks(8080), all("answered"));
  });

  test(`${name} beside fail2ban's own table: neither lifts the other's bans`, { skip, timeout: 60_000 }, async () => {
    using network = openNetwork(1);
    const host = network.hosts[0] ?? assert.fail("no host");
    network.attacker.addAddress("192.0.2.1");
    const theirs = [
      "add table inet f2b-table",
      "add chain inet f2b-table f2b-chain { type filter hook input priority -1; }",
      "add set inet f2b-table addr-set-sshd { type ipv4_addr; }",
      "add rule inet f2b-table f2b-chain tcp dport 22 ip saddr @addr-set-sshd reject",
      "add element inet f2b-table addr-set-sshd { 192.0.2.1 }",
    ];
    assert.equal((await host.run(["nft", "-f", "-"], `${theirs.join("\n")}\n`)).code, 0);
    await using server = openPeer(host);
    await using attacker = openPeer(network.attacker);
    await server.serve([22]);
    const knock = () => attacker.knock("192.0.2.1", host.ipv4, 22);
    assert.equal(await knock(), "refused");
    const firewall = open(host.run);
    await firewall.open(setup);
    await firewall.apply({ ...noChange, add: [ban("192.0.2.1")] });
    assert.equal(await knock(), "silent");
    await firewall.replaceAll([ban("192.0.2.1")], setup);
    assert.equal(await knock(), "silent");
    await firewall.apply({ ...noChange, remove: [ban("192.0.2.1")] });
    assert.equal(await knock(), "refused");
    await firewall.teardown();
    assert.equal(await knock(), "refused");
    await must(host.run, "nft delete table inet f2b-table");
    assert.equal(await knock(), "answered");
  });
}

const unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
const onlyNetAdmin = ["--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin"];

test("nftables works for a user who is not root and has CAP_NET_ADMIN alone, and says so when it is missing", {
  skip: skip === false ? namespacesMissing("setpriv") : skip,
  timeout: 60_000,
}, async () => {
  using network = openNetwork(1);
  const host = network.hosts[0] ?? assert.fail("no host");
  const { attacker: from } = network;
  await using server = openPeer(host);
  await using attacker = openPeer(from);
  await server.serve([22, 80]);
  const run = commandRunner([...host.prefix, ...unprivileged, ...onlyNetAdmin]);
  assert.match(
    (await run(["grep", "-E", "^Uid|^CapEff", "/proc/self/status"])).stdout,
    /^Uid:\s+65534.*\nCapEff:\s+0*1000$/m,
  );
  const firewall = nftablesBackend(run, "nft", Date.now);
  await firewall.open(setup);
  const add = [ban(from.ipv4, [22]), ban(`${from.ipv6}/64`), ban("203.0.113.0/25")];
  assert.deepEqual(await firewall.apply({ ...noChange, add }), { applied: 3, rejected: [] });
  assert.equal(await attacker.knock(from.ipv4, host.ipv4, 22), "silent");
  assert.equal(await attacker.knock(from.ipv4, host.ipv4, 80), "answered");
  assert.equal(await attacker.knock(from.ipv6, host.ipv6, 80), "silent");
  assert.equal(await firewall.health(), "ok");
  assert.equal(await firewall.holds?.({ net: "203.0.113.0/25", ports: null }), true);
  assert.ok((await firewall.counters()).some(({ packets }) => packets > 0));
  const many = Array.from({ length: 30_000 }, (_, index) => ban(`203.${index >> 8}.113.${index & 255}`));
  assert.deepEqual(await firewall.replaceAll(many, setup), { applied: many.length, rejected: [] });
  await firewall.teardown();
  assert.equal(await attacker.knock(from.ipv4, host.ipv4, 22), "answered");

  const without = nftablesBackend(commandRunner([...host.prefix, ...unprivileged]), "nft", Date.now);
  await assert.rejects(without.open(setup), /run as root or give the service CAP_NET_ADMIN/);
});
