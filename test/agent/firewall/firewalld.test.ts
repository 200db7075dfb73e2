import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { noChange } from "../../../agent/firewall/firewall.ts";
import { firewalldBackend } from "../../../agent/firewall/firewalld.ts";
import { commandRunner, type RunCommand } from "../../../agent/firewall/run-command.ts";
import { namespacesMissing, openNetwork, type TestHost } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";

const skip = namespacesMissing("firewalld", "firewall-cmd", "dbus-daemon", "conntrack", "unshare");
const setup = { verdict: "drop", allow: [] } as const;

const busSettings = (
  folder: string,
) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=${folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
`;

/** firewalld in the namespace on a bus of its own, with its files in a folder bound over those of the machine. */
async function startFirewalld(host: TestHost, folder: string, started: ChildProcess[]): Promise<RunCommand> {
  writeFileSync(join(folder, "bus.conf"), busSettings(folder));
  const files = join(folder, "etc");
  cpSync("/etc/firewalld", files, { recursive: true });
  started.push(
    spawn("dbus-daemon", [`--config-file=${folder}/bus.conf`, "--nofork", "--nopidfile"], { stdio: "ignore" }),
  );
  const bind = 'mount --bind "$0" /etc/firewalld && exec "$@"';
  const environment = ["env", `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${folder}/bus`];
  const prefix = [...host.prefix, ...environment, "unshare", "--mount", "sh", "-c", bind, files];
  const run = commandRunner(prefix);
  const [program = "", ...args] = [...prefix, "firewalld", "--nofork", "--nopid"];
  const deadlineMs = performance.now() + 30_000;
  await until(deadlineMs, async () => (await run(["test", "-S", `${folder}/bus`])).code === 0);
  started.push(spawn(program, args, { stdio: "ignore" }));
  await until(deadlineMs, async () => (await run(["firewall-cmd", "--state"])).code === 0);
  return run;
}

async function until(deadlineMs: number, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    assert(performance.now() < deadlineMs, "firewalld did not start in 30 s");
    await pause(50);
  }
}

test("firewalld stops new and established connections until the ban is lifted", {
  skip,
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "f2b-firewalld-"));
  const started: ChildProcess[] = [];
  try {
    using network = openNetwork(1);
    const [host] = network.hosts;
    assert(host !== undefined);
    for (const address of ["192.0.2.1", "2001:db8:1::1"]) network.attacker.addAddress(address);
    const run = await startFirewalld(host, folder, started);
    assert.equal((await run(["firewall-cmd", "--add-port=22/tcp"])).code, 0);
    await using server = openPeer(host);
    await using attacker = openPeer(network.attacker);
    await server.serve([22]);
    const firewall = firewalldBackend(run, "firewall-cmd", Date.now, "conntrack");
    await firewall.open(setup);
    // Its sets need one reload, which forgets what was only set at run time.
    assert.equal((await run(["firewall-cmd", "--add-port=22/tcp"])).code, 0);
    const established = await attacker.connect("192.0.2.1", host.ipv4, 22);
    const add = [
      { net: "192.0.2.0/30", ports: [22], untilMs: null },
      { net: "2001:db8:1::/64", ports: null, untilMs: null },
    ];
    assert.deepEqual(await firewall.apply({ ...noChange, add }), { applied: 2, rejected: [] });
    assert.equal(await attacker.knock("192.0.2.1", host.ipv4, 22), "silent");
    assert.equal(await attacker.knock("2001:db8:1::1", host.ipv6, 22), "silent");
    assert.equal(await established.echo(), "silent");
    assert.equal(await firewall.health(), "ok");

    const next = firewalldBackend(run, "firewall-cmd", Date.now, "conntrack");
    assert.deepEqual(await next.replaceAll(add.slice(1), setup), { applied: 1, rejected: [] });
    assert.equal(await attacker.knock("192.0.2.1", host.ipv4, 22), "answered");
    assert.equal(await attacker.knock("2001:db8:1::1", host.ipv6, 22), "silent");
    await next.teardown();
    assert.doesNotMatch((await run(["firewall-cmd", "--permanent", "--get-ipsets"])).stdout, /fleet2ban/);
  } finally {
    for (const child of started) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});
