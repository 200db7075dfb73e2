import assert from "node:assert/strict";
import { test } from "node:test";
import { Enforcer, type EnforcerParts } from "../../../agent/firewall/enforcer.ts";
import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import type { OwnedBan } from "../../../agent/firewall/wanted-set.ts";
import { type FakeFirewall, fakeFirewall } from "../../support/fake-firewall.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";

function world(parts: Partial<EnforcerParts> = {}) {
  const said: string[] = [];
  const say = (_fields: object, message: string) => void said.push(message);
  const backend = fakeFirewall();
  const log = { debug: () => undefined, info: say, warn: say, error: say };
  let nowMs = 0;
  let upMs = 0;
  const enforcer = new Enforcer({ backend, verdict: "drop", log, upMs: () => upMs, ...parts });
  /** Lets seconds pass, and whatever they set off. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      nowMs += 1000;
      upMs += 1000;
      await enforcer.expire(nowMs);
      for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
    }
  };
  /** Somebody sets the clock, or the machine slept. */
  const setClock = (aheadMs: number) => {
    nowMs += aheadMs;
  };
  return { backend, enforcer, pass, said, setClock };
}

const ban = (net: string, fields: Partial<OwnedBan> = {}): OwnedBan => ({
  id: `fleet:${net}`,
  tier: "fleet",
  net,
  ports: null,
  untilMs: null,
  ...fields,
});
const keys = (backend: FakeFirewall) => [...backend.elements.keys()];
const never = [{ net: "198.51.100.1", why: "coordinator" }];

test("what came before the opening goes in one transaction, without what must not be banned, and shields the protected", async () => {
  const { enforcer, backend, said } = world();
  await enforcer.protect(never);
  await enforcer.ban([ban("192.0.2.1/32"), ban("198.51.100.0/24"), ban("10.0.0.1/32")]);
  await enforcer.open();
  assert.deepEqual(backend.calls, ["replace 1"]);
  assert.deepEqual(keys(backend), ["192.0.2.1/32"]);
  assert.deepEqual(backend.setup()?.allow, ["198.51.100.1"]);
  assert.equal(said.filter((each) => each === "refused to ban a protected network").length, 2);
  assert.equal(enforcer.refusal("198.51.100.0/24"), "holds 198.51.100.1 (coordinator)");
});

test("what comes while the firewall is being opened is in force after it: bans and unbans", async () => {
  const { enforcer, backend } = world();
  await enforcer.ban([ban("192.0.2.1/32"), ban("192.0.2.2/32")]);
  const letThrough = backend.pause();
  const opened = enforcer.open();
  while (backend.calls.length === 0) await Promise.resolve();
  const changed = [enforcer.ban([ban("192.0.2.3/32")]), enforcer.unban(["fleet:192.0.2.1/32"])];
  letThrough();
  await Promise.all([opened, ...changed]);
  assert.deepEqual(keys(backend), ["192.0.2.2/32", "192.0.2.3/32"]);
});

test("a ban is in force when its promise resolves, and gone when its unban does", async () => {
  const { enforcer, backend } = world();
  await enforcer.open();
  await enforcer.ban([ban("192.0.2.1/32"), ban("203.0.113.0/24")]);
  assert.deepEqual(keys(backend), ["192.0.2.1/32", "203.0.113.0/24"]);
  await enforcer.unban(["fleet:192.0.2.1/32"]);
  assert.deepEqual(keys(backend), ["203.0.113.0/24"]);
});

test("the kernel's allow sets are written again only when the protected change", async () => {
  const { enforcer, backend } = world();
  await enforcer.open();
  await enforcer.protect(never);
  await enforcer.protect(never);
  assert.deepEqual(backend.calls, ["replace 0", "open 198.51.100.1"]);
});

test("a ban that touches an address which becomes protected is out of force until it is not", async () => {
  const { enforcer, backend, said } = world();
  await enforcer.open();
  await enforcer.ban([ban("198.51.100.0/24"), ban("192.0.2.1/32")]);
  await enforcer.protect(never);
  assert.deepEqual(keys(backend), ["192.0.2.1/32"]);
  await enforcer.ban([ban("198.51.100.0/25")]);
  assert.equal(said.at(-1), "refused to ban a protected network");
  await enforcer.protect([]);
  assert.deepEqual(keys(backend), ["192.0.2.1/32", "198.51.100.0/24", "198.51.100.0/25"]);
  assert.deepEqual(backend.setup()?.allow, []);
});

test("more allows than the kernel's sets hold push out no protected address and do not stop the firewall", async () => {
  const { enforcer, backend } = world();
  const net = (index: number) => `198.18.${index >> 8}.${index & 255}/32`;
  const allows = Array.from({ length: 9000 }, (_, id) => ({
    ...{ id: `${id}`, tier: "fleet" as const },
    ...{ net: net(id), untilMs: null },
  }));
  await enforcer.allow(allows);
  await enforcer.protect(never);
  await enforcer.open();
  assert.equal(backend.setup()?.allow.length, 8192);
  assert.equal(backend.setup()?.allow[0], "198.51.100.1");
});

test("only a firewall that cannot end bans itself is told of their end", async () => {
  for (const endsBans of [true, false]) {
    const backend = fakeFirewall({ endsBans });
    const { enforcer, pass } = world({ backend });
    await enforcer.open();
    await enforcer.ban([ban("192.0.2.1/32", { untilMs: 1000 })]);
    await pass(12);
    assert.equal(enforcer.size, 0);
    assert.deepEqual(keys(backend), endsBans ? ["192.0.2.1/32"] : []);
  }
});

test("a clock that is set, to earlier or later, writes every end anew", async () => {
  const { enforcer, backend, pass, setClock, said } = world();
  await enforcer.open();
  await enforcer.ban([ban("192.0.2.1/32", { untilMs: 60_000 }), ban("192.0.2.2/32", { untilMs: 9_000_000 })]);
  await pass(5);
  assert.equal(backend.calls.filter((call) => call.startsWith("replace")).length, 1);
  for (const [aheadMs, left] of [
    [-2_000_000, 2],
    [5_600_000, 1],
  ] as const) {
    setClock(aheadMs);
    await pass(1);
    assert.equal(backend.calls.at(-1), `replace ${left}`);
    await pass(5);
    assert.equal(backend.calls.at(-1), `replace ${left}`, "once");
  }
  assert.equal(said.filter((each) => each.startsWith("the clock was set")).length, 2);
});

test("bans that cut the host off are taken back within a minute and stay out", async () => {
  const backend = fakeFirewall();
  const { enforcer, pass, said } = world({ backend, reach: async () => !backend.elements.has("203.0.113.0/24") });
  await enforcer.open();
  await pass(2);
  await enforcer.ban([ban("203.0.113.0/24"), ban("192.0.2.1/32")]);
  assert.equal(keys(backend).length, 2);
  await pass(59);
  assert.deepEqual(keys(backend), []);
  assert.match(said.join(), /took them back.*they stay out/);
  await pass(300);
  assert.deepEqual(keys(backend), []);
});

test("setting the clock neither looks like a cut nor keeps a real one from being seen", async () => {
  const backend = fakeFirewall();
  const { enforcer, pass, setClock } = world({ backend, reach: async () => !backend.elements.has("203.0.113.0/24") });
  await enforcer.open();
  await pass(2);
  await enforcer.ban([ban("192.0.2.1/32")]);
  setClock(3_600_000);
  await pass(3);
  assert.deepEqual(keys(backend), ["192.0.2.1/32"]);
  await pass(30);
  setClock(-7_200_000);
  await enforcer.ban([ban("203.0.113.0/24")]);
  await pass(59);
  assert.deepEqual(keys(backend), ["192.0.2.1/32"]);
});

test("a coordinator that is away for another reason costs a minute of the last bans, once", async () => {
  let away = false;
  const { enforcer, backend, pass } = world({ reach: async () => !away });
  await enforcer.open();
  await pass(2);
  await enforcer.ban([ban("192.0.2.1/32")]);
  away = true;
  await pass(45);
  assert.deepEqual(keys(backend), []);
  await pass(60);
  await enforcer.ban([ban("192.0.2.2/32")]);
  await pass(300);
  assert.deepEqual(keys(backend), ["192.0.2.1/32", "192.0.2.2/32"]);
});

test("a host's own ban of one address stands, whoever is away", async () => {
  let away = false;
  const { enforcer, backend, pass } = world({ reach: async () => !away });
  await enforcer.open();
  await pass(2);
  await enforcer.ban([{ ...ban("192.0.2.1/32"), id: "jail:sshd:192.0.2.1" }]);
  away = true;
  await pass(45);
  assert.deepEqual(keys(backend), ["192.0.2.1/32"]);
});

const skip = namespacesMissing("nft");
test("a ban of the way to the coordinator is undone in the kernel", { skip, timeout: 60_000 }, async () => {
  using network = openNetwork(1);
  const [host] = network.hosts;
  assert(host !== undefined);
  network.attacker.addAddress("203.0.113.9");
  await using coordinator = openPeer(network.attacker);
  await coordinator.serve([4222]);
  await using agent = openPeer(host);
  const reach = async () => (await agent.knock(host.ipv4, "203.0.113.9", 4222)) === "answered";
  let asked = Promise.resolve(false);
  const ask = () => {
    asked = reach();
    return asked;
  };
  const { enforcer, pass } = world({ backend: nftablesBackend(host.run, "nft", () => 0), reach: ask });
  await enforcer.open();
  await pass(1);
  assert.equal(await asked, true);
  await enforcer.ban([ban("203.0.113.0/24")]);
  assert.equal(await reach(), false);
  await pass(41);
  const deadlineMs = performance.now() + 60_000;
  while (!(await reach())) assert(performance.now() < deadlineMs, "still cut off");
  await enforcer.close();
});

test("when the clock is set, the kernel ends bans by the new one", { skip, timeout: 60_000 }, async () => {
  using network = openNetwork(1);
  const [host] = network.hosts;
  assert(host !== undefined);
  let clockMs = 0;
  const backend = nftablesBackend(host.run, "nft", () => clockMs);
  const { enforcer, pass, setClock } = world({ backend });
  await enforcer.open();
  await enforcer.ban([ban("192.0.2.1/32", { untilMs: 3_600_000 }), ban("192.0.2.2/32", { untilMs: 86_400_000 })]);
  await pass(1);
  clockMs = 7_200_000;
  setClock(clockMs);
  await pass(1);
  const deadlineMs = performance.now() + 60_000;
  let listed = await backend.list();
  while (listed.length !== 1) {
    assert(performance.now() < deadlineMs, "the ended ban is still there");
    listed = await backend.list();
  }
  const leftMs = listed[0]?.expiresInMs ?? 0;
  assert.equal(listed[0]?.net, "192.0.2.2");
  assert(leftMs > 79_000_000 && leftMs <= 79_202_000, `${leftMs}`);
  await enforcer.close();
});
