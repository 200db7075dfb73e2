import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { noChange } from "../../../agent/firewall/firewall.ts";
import { commandRunner, type RunCommand } from "../../../agent/firewall/run-command.ts";
import { ufwBackend } from "../../../agent/firewall/ufw.ts";
import { namespacesMissing, openNetwork, type TestHost } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";

const skip = namespacesMissing("ufw", "conntrack", "unshare");
const setup = { verdict: "drop", allow: [] } as const;

/** ufw inside the namespace, with a copy of its files bound over those of the machine. */
function privateUfw(host: TestHost, folder: string): RunCommand {
  cpSync("/etc/ufw", folder, { recursive: true });
  execFileSync("chown", ["-R", "root:root", folder]);
  const bind = 'mount --bind "$0" /etc/ufw && exec "$@"';
  return commandRunner([...host.prefix, "unshare", "--mount", "sh", "-c", bind, folder]);
}

test("ufw stops new and established connections until the ban is lifted, and knows its rules again", {
  skip,
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-ufw-"));
  try {
    using network = openNetwork(1);
    const [host] = network.hosts;
    assert(host !== undefined);
    for (const address of ["192.0.2.1", "192.0.2.2"]) network.attacker.addAddress(address);
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
    const established = await attacker.connect("192.0.2.1", host.ipv4, 22);
    const add = [
      { net: "192.0.2.1/32", ports: null, untilMs: null },
      { net: "192.0.2.2/32", ports: [22], untilMs: null },
      { net: "2001:db8:1::/64", ports: null, untilMs: null },
    ];
    assert.deepEqual(await firewall.apply({ ...noChange, add }), { applied: 3, rejected: [] });
    assert.equal(await attacker.knock("192.0.2.1", host.ipv4, 22), "silent");
    assert.equal(await established.echo(), "silent");
    assert.equal(await attacker.knock("192.0.2.2", host.ipv4, 22), "silent");
    assert.equal(await attacker.knock("192.0.2.2", host.ipv4, 80), "answered");
    assert.equal(await firewall.health(), "ok");

    const next = ufwBackend(run, "ufw", Date.now, "conntrack");
    assert.deepEqual(await next.replaceAll(add.slice(1), setup), { applied: 2, rejected: [] });
    assert.equal(await attacker.knock("192.0.2.1", host.ipv4, 22), "answered");
    assert.equal(await next.health(), "ok");
    await next.teardown();
    assert.equal(await attacker.knock("192.0.2.2", host.ipv4, 22), "answered");
    assert.doesNotMatch((await run(["ufw", "show", "added"])).stdout, /fleet2ban/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
