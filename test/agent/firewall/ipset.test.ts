import assert from "node:assert/strict";
import { test } from "node:test";
import { noChange } from "../../../agent/firewall/firewall.ts";
import { ipsetBackend } from "../../../agent/firewall/ipset.ts";
import { commandRunner } from "../../../agent/firewall/run-command.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";
import { testBackend } from "./backend-contract.ts";

const programs = { ipset: "ipset", iptables: "iptables", ip6tables: "ip6tables" };

testBackend({
  name: "ipset",
  programs: ["ipset", "iptables", "ip6tables", "nft"],
  open: async (run) => ipsetBackend(run, programs, Date.now),
  foreignFlush: [
    ["iptables", "-t", "raw", "-F", "PREROUTING"],
    ["iptables", "-t", "raw", "-F", "fleet2ban"],
    ["nft", "flush", "ruleset"],
  ],
  smallSet: [["ipset", "create", "f2b4", "hash:net", "family", "inet", "maxelem", "3", "timeout", "0"]],
});

const skip = namespacesMissing("ipset", "iptables", "ip6tables");
const day = 86_400_000;

test("ipset: what is refused in the middle of a restore is named, the rest stands, and replaceAll makes room", {
  skip,
  timeout: 60_000,
}, async () => {
  using network = openNetwork(1);
  const host = network.hosts[0] ?? assert.fail("no host");
  const firewall = ipsetBackend(host.run, programs, Date.now);
  await firewall.open({ verdict: "drop", allow: [] });
  await host.run(["ipset", "create", "small", "hash:net", "family", "inet", "maxelem", "3", "timeout", "0"]);
  assert.equal((await host.run(["ipset", "swap", "small", "f2b4"])).code, 0);
  const wanted = [1, 2, 3, 4, 5].map((last) => ({ net: `192.0.2.${last}`, ports: null, untilMs: null }));
  const { applied, rejected } = await firewall.apply({ ...noChange, add: wanted });
  assert.deepEqual([applied, rejected.map(({ net }) => net)], [3, ["192.0.2.4", "192.0.2.5"]]);
  assert.match(rejected[0]?.reason ?? "", /full/);
  assert.equal((await firewall.list()).length, 3);
  const setup = { verdict: "drop", allow: [] } as const;
  assert.deepEqual(await firewall.replaceAll(wanted, setup), { applied: 5, rejected: [] });
});

test("ipset: a ban longer than its ceiling of 24.8 days is held up to it, and again when everything is written anew", {
  skip,
  timeout: 60_000,
}, async () => {
  using network = openNetwork(1);
  const host = network.hosts[0] ?? assert.fail("no host");
  let nowMs = Date.now();
  const firewall = ipsetBackend(commandRunner(host.prefix), programs, () => nowMs);
  const setup = { verdict: "drop", allow: [] } as const;
  const wanted = [
    { net: "192.0.2.1", ports: null, untilMs: nowMs + 60 * day },
    { net: "192.0.2.2", ports: null, untilMs: nowMs + 24 * day },
  ];
  const days = async () =>
    (await firewall.list())
      .toSorted((one, other) => (one.net < other.net ? -1 : 1))
      .map(({ expiresInMs }) => Math.round((expiresInMs ?? 0) / (day / 10)) / 10);
  await firewall.open(setup);
  assert.deepEqual(await firewall.apply({ ...noChange, add: wanted }), { applied: 2, rejected: [] });
  assert.deepEqual(await days(), [24.8, 24]);
  nowMs += 20 * day;
  await firewall.replaceAll(wanted, setup);
  assert.deepEqual(await days(), [24.8, 4]);
});
