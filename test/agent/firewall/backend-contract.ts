import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { ElementName, FirewallBackend, FirewallSetup } from "../../../agent/firewall/firewall.ts";
import { elementKey, noChange } from "../../../agent/firewall/firewall.ts";
import type { RunCommand } from "../../../agent/firewall/run-command.ts";
import { namespacesMissing, openNetwork, type TestHost } from "../../support/namespaces.ts";
import { openPeer, type TrafficPeer } from "../../support/traffic.ts";

const setup: FirewallSetup = { verdict: "drop", allow: [] };
const hour = 3_600_000;
const deadlineMs = 60_000;

type World = Readonly<{ firewall: FirewallBackend; host: TestHost; attacker: TrafficPeer; reopen: FirewallBackend }>;

type Tested = Readonly<{
  name: string;
  programs: readonly string[];
  open: (run: RunCommand) => Promise<FirewallBackend>;
  /** How somebody else takes our rules away. */
  foreignFlush: readonly (readonly string[])[];
  /** How somebody makes our set of IPv4 addresses hold three and no more, before we come. */
  smallSet: readonly (readonly string[])[];
}>;

const cases: readonly { attacker: string; host: "ipv4" | "ipv6"; ban: ElementName }[] = [
  { attacker: "192.0.2.1", host: "ipv4", ban: { net: "192.0.2.1", ports: null } },
  { attacker: "192.0.2.2", host: "ipv4", ban: { net: "192.0.2.2", ports: [22] } },
  { attacker: "203.0.113.3", host: "ipv4", ban: { net: "203.0.113.0/24", ports: null } },
  { attacker: "203.0.113.4", host: "ipv4", ban: { net: "203.0.113.4/30", ports: [22] } },
  { attacker: "2001:db8:1::1", host: "ipv6", ban: { net: "2001:db8:1::1", ports: null } },
  { attacker: "2001:db8:2::2", host: "ipv6", ban: { net: "2001:db8:2::2", ports: [22] } },
  { attacker: "2001:db8:3::3", host: "ipv6", ban: { net: "2001:db8:3::/64", ports: null } },
  { attacker: "2001:db8:4:0:9::4", host: "ipv6", ban: { net: "2001:db8:4::/64", ports: [22] } },
];

/** Every backend that enforces must pass these with real packets between namespaces. */
export function testBackend(tested: Tested): void {
  const skip = namespacesMissing(...tested.programs);
  const rule = (name: string, body: (world: World, context: TestContext) => Promise<void>): void => {
    test(`${tested.name}: ${name}`, { skip, timeout: 120_000 }, async (context) => {
      using network = openNetwork(1);
      const [host] = network.hosts;
      assert(host !== undefined);
      network.attacker.addAddress(...cases.map(({ attacker }) => attacker));
      await using server = openPeer(host);
      await using attacker = openPeer(network.attacker);
      await server.serve([22, 80]);
      const firewall = await tested.open(host.run);
      await firewall.open(setup);
      await body({ firewall, host, attacker, reopen: await tested.open(host.run) }, context);
    });
  };

  for (const each of cases) {
    rule(`a ban of ${elementKey(each.ban)} stops new and established connections until it is lifted`, async (world) => {
      const { firewall, attacker } = world;
      const to = world.host[each.host];
      const established = await attacker.connect(each.attacker, to, 22);
      const add = [{ ...each.ban, untilMs: Date.now() + hour }];
      assert.deepEqual(await firewall.apply({ ...noChange, add }), { applied: 1, rejected: [] });
      assert.equal(await attacker.knock(each.attacker, to, 22), "silent");
      assert.equal(await attacker.knock(each.attacker, to, 80), each.ban.ports === null ? "silent" : "answered");
      assert.equal(await established.echo(), "silent");
      const bystander = each.host === "ipv4" ? "198.51.100.200" : "2001:db8::200";
      assert.equal(await attacker.knock(bystander, to, 22), "answered");
      await firewall.apply({ ...noChange, remove: [each.ban] });
      assert.equal(await attacker.knock(each.attacker, to, 22), "answered");
      await until("the established connection resumed", async () => (await established.echo()) === "answered");
    });
  }

  rule(
    "every kind of ban is extended, outlives the agent, ends by itself and may be lifted after that",
    async (world) => {
      const { firewall, host, attacker, reopen } = world;
      const knocks = () => Promise.all(cases.map((each) => attacker.knock(each.attacker, host[each.host], 22)));
      const all = (untilMs: number) => cases.map(({ ban }) => ({ ...ban, untilMs }));
      const every = (outcome: string) => cases.map(() => outcome);
      await firewall.apply({ ...noChange, add: all(Date.now() + 1500) });
      assert.deepEqual(await knocks(), every("silent"));
      await firewall.apply({ ...noChange, renew: all(Date.now() + hour) });
      const left = await firewall.list();
      assert.equal(left.length, cases.length);
      for (const { net, expiresInMs } of left)
        assert((expiresInMs ?? 0) > hour - 60_000, `${net}: ${expiresInMs} ms left`);
      await reopen.open(setup);
      assert.deepEqual(await knocks(), every("silent"), "after a restart");
      await reopen.apply({ ...noChange, renew: all(Date.now() + 500) });
      await until("every ban ended", async () => (await knocks()).every((outcome) => outcome === "answered"));
      // Ended and perhaps not yet swept up: neither an unban nor a new ban may trip over it.
      const [first, second] = cases;
      assert(first !== undefined && second !== undefined);
      const batch = {
        add: [],
        remove: cases.slice(2).map(({ ban }) => ban),
        renew: [{ ...first.ban, untilMs: Date.now() + hour }],
      };
      assert.deepEqual(await reopen.apply(batch), { applied: cases.length - 1, rejected: [] });
      assert.deepEqual((await knocks()).slice(0, 2), ["silent", "answered"]);
    },
  );

  const [one, , network] = cases;
  assert(one !== undefined && network !== undefined);
  const banned = (untilMs: number | null) => ({ ...one.ban, untilMs });

  rule("a renewed ban ends when it was last said to, longer or shorter", async ({ firewall, host, attacker }) => {
    await firewall.apply({ ...noChange, add: [banned(Date.now() + 2000)] });
    await firewall.apply({ ...noChange, renew: [banned(Date.now() + hour)] });
    const left = (await firewall.list())[0]?.expiresInMs ?? 0;
    assert(left > hour - 60_000 && left <= hour + 2000, `${left} ms left`);
    await firewall.apply({ ...noChange, renew: [banned(Date.now() + 1000)] });
    assert.equal(await attacker.knock(one.attacker, host.ipv4, 22), "silent");
    await until("the ban ended", async () => (await attacker.knock(one.attacker, host.ipv4, 22)) === "answered");
  });

  rule("a ban without an end stays, and a repeated ban and unban do no harm", async ({ firewall, host, attacker }) => {
    await firewall.apply({ ...noChange, add: [banned(null)] });
    await firewall.apply({ ...noChange, renew: [banned(null)] });
    assert.deepEqual(await firewall.list(), [{ net: one.ban.net, port: null, expiresInMs: null }]);
    assert.equal(await attacker.knock(one.attacker, host.ipv4, 22), "silent");
    const remove = [one.ban, { net: "198.51.100.77", ports: null }, { net: "198.51.0.0/17", ports: null }];
    for (let times = 0; times < 2; times += 1) {
      assert.deepEqual(await firewall.apply({ ...noChange, remove }), { applied: 3, rejected: [] });
    }
    assert.deepEqual(await firewall.list(), []);
  });

  rule("an element that is not an address is refused and the rest stands", async ({ firewall }) => {
    const nets = ["localhost", "999.1.1.1", "192.0.2.9 timeout 1s }", "0.0.0.0/0", "192.0.2.50"];
    const add = nets.map((net) => ({ net, ports: null, untilMs: Date.now() + hour }));
    const result = await firewall.apply({ ...noChange, add });
    assert.deepEqual(
      result.rejected.map(({ net }) => net),
      nets.slice(0, 4),
    );
    assert.deepEqual(
      (await firewall.list()).map(({ net }) => net),
      ["192.0.2.50"],
    );
  });

  rule("replaceAll puts the wanted set in place of whatever is there", async ({ firewall }) => {
    await firewall.apply({ ...noChange, add: [banned(null), { net: "198.51.0.0/17", ports: null, untilMs: null }] });
    const untilMs = Date.now() + hour;
    const wanted = Array.from({ length: 300 }, (_, index) => ({
      net: `203.0.113.${index % 256}`,
      ports: null,
      untilMs,
    }));
    assert.deepEqual(await firewall.replaceAll(wanted, setup), { applied: 300, rejected: [] });
    const listed = await firewall.list();
    assert.equal(listed.length, 256);
    assert(listed.every(({ net }) => net.startsWith("203.0.113.")));
  });

  rule("bans survive the agent, and a new one adopts them", async ({ firewall, host, attacker, reopen }) => {
    await firewall.apply({ ...noChange, add: [banned(null), { ...network.ban, untilMs: Date.now() + hour }] });
    await reopen.open(setup);
    assert.equal(await reopen.health(), "ok");
    for (const each of [one, network]) assert.equal(await attacker.knock(each.attacker, host.ipv4, 22), "silent");
    await reopen.apply({ ...noChange, remove: [one.ban, network.ban] });
    for (const each of [one, network]) assert.equal(await attacker.knock(each.attacker, host.ipv4, 22), "answered");
  });

  rule("what is allowed passes a ban around it, and no longer when it is not", async ({ firewall, host, attacker }) => {
    await firewall.apply({ ...noChange, add: [{ ...network.ban, untilMs: null }] });
    await firewall.open({ ...setup, allow: [network.attacker, "203.0.113.3/32", "2001:db8::/32", "203.0.113.2/31"] });
    assert.equal(await attacker.knock(network.attacker, host.ipv4, 22), "answered");
    assert.equal(await attacker.knock("203.0.113.4", host.ipv4, 22), "silent");
    await firewall.open(setup);
    assert.equal(await attacker.knock(network.attacker, host.ipv4, 22), "silent");
  });

  rule("a foreign flush is seen and replaceAll heals it", async ({ firewall, host, attacker }) => {
    const wanted = [banned(Date.now() + hour)];
    await firewall.apply({ ...noChange, add: wanted });
    for (const command of tested.foreignFlush) {
      assert.equal(await firewall.health(), "ok");
      assert.equal((await host.run(command)).code, 0);
      assert.notEqual(await firewall.health(), "ok");
      await firewall.replaceAll(wanted, setup);
      assert.equal(await firewall.health(), "ok");
      assert.equal(await attacker.knock(one.attacker, host.ipv4, 22), "silent");
    }
  });

  rule("a port published by destination NAT is closed to the banned too", async ({ firewall, host, attacker }) => {
    const forward = [
      "add table ip nat",
      "add chain ip nat pre { type nat hook prerouting priority dstnat; }",
      "add chain ip nat post { type nat hook postrouting priority srcnat; }",
      "add rule ip nat pre tcp dport 8080 redirect to :80",
      "add rule ip nat post masquerade",
    ];
    assert.equal((await host.run(["nft", "-f", "-"], `${forward.join("\n")}\n`)).code, 0);
    assert.equal(await attacker.knock(one.attacker, host.ipv4, 8080), "answered");
    await firewall.apply({ ...noChange, add: [{ ...one.ban, ports: [8080], untilMs: null }] });
    assert.equal(await attacker.knock(one.attacker, host.ipv4, 8080), "silent");
  });

  rule("a set that is full refuses aloud, and replaceAll makes room", async ({ firewall, host, reopen }) => {
    await firewall.teardown();
    for (const command of tested.smallSet) assert.equal((await host.run(command)).code, 0, command.join(" "));
    const wanted = [1, 2, 3, 4, 5].map((last) => ({ net: `192.0.2.${last}`, ports: null, untilMs: null }));
    await reopen.open(setup);
    const { applied, rejected } = await reopen.apply({ ...noChange, add: wanted });
    assert.equal(applied + rejected.length, wanted.length);
    assert.equal((await reopen.list()).length, applied, "what is said to be in force is");
    assert.deepEqual(await reopen.replaceAll(wanted, setup), { applied: 5, rejected: [] });
    assert.equal((await reopen.list()).length, 5);
  });

  rule("teardown removes all of ours and nothing else", async ({ firewall, host, attacker }) => {
    await host.run(["nft", "add", "table", "inet", "other"]);
    await firewall.apply({ ...noChange, add: [banned(null)] });
    await firewall.teardown();
    assert.equal(await attacker.knock(one.attacker, host.ipv4, 22), "answered");
    assert.equal(await firewall.health(), "missing");
    assert.match((await host.run(["nft", "list", "tables"])).stdout, /table inet other/);
  });

  rule(
    "a tool killed in the middle leaves nothing that replaceAll cannot repair",
    async ({ firewall, host, attacker }) => {
      const old = [banned(null)];
      await firewall.replaceAll(old, setup);
      const wanted = Array.from({ length: 20_000 }, (_, index) => ({
        net: `203.0.${index >> 8}.${index & 255}`,
        ports: null,
        untilMs: null,
      }));
      for (const afterMs of [2, 10, 25]) {
        const doomed = await tested.open(killingRunner(host.prefix, afterMs));
        await doomed.replaceAll([...old, ...wanted], setup).catch(() => undefined);
      }
      await firewall.replaceAll(old, setup);
      assert.equal(await firewall.health(), "ok");
      assert.deepEqual(
        (await firewall.list()).map(({ net }) => net),
        [one.ban.net],
      );
      assert.equal(await attacker.knock(one.attacker, host.ipv4, 22), "silent");
    },
  );
}

/** Runs commands that are killed while they work. */
function killingRunner(prefix: readonly string[], afterMs: number): RunCommand {
  return (command, stdin = "") =>
    new Promise((resolve) => {
      const [program = "", ...args] = [...prefix, ...command];
      const child = spawn(program, args, { stdio: ["pipe", "ignore", "ignore"] });
      child.stdin.on("error", () => undefined);
      child.stdin.end(stdin);
      const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
      child.on("close", (code) => {
        clearTimeout(timer);
        resolve({ code, stdout: "", stderr: "killed" });
      });
    });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await holds())) {
    assert(performance.now() < endMs, `not in ${deadlineMs} ms: ${what}`);
    await pause(20);
  }
}
