import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { test } from "node:test";
import { noChange } from "../../../agent/firewall/firewall.ts";
import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import { namespacesMissing, openNetwork, type TestNetwork } from "../../support/namespaces.ts";
import { openPeer } from "../../support/traffic.ts";
import { testBackend } from "./backend-contract.ts";

testBackend({
  name: "nftables",
  programs: ["nft"],
  open: async (run) => nftablesBackend(run, "nft", Date.now),
  foreignFlush: [
    ["nft", "flush", "ruleset"],
    ["nft", "flush", "chain", "inet", "fleet2ban", "pre"],
    ["nft", "delete", "table", "inet", "fleet2ban"],
  ],
  smallSet: [
    ["nft", "add", "table", "inet", "fleet2ban"],
    ["nft", "add", "set", "inet", "fleet2ban", "a4", "{ type ipv4_addr; flags timeout; size 3; }"],
  ],
});

const skip = namespacesMissing("nft");
test("nftables: the verdict reject answers the banned at once", { skip, timeout: 60_000 }, async () => {
  using network = openNetwork(1);
  const [host] = network.hosts;
  assert(host !== undefined);
  await using server = openPeer(host);
  await using attacker = openPeer(network.attacker);
  await server.serve([22]);
  const firewall = nftablesBackend(host.run, "nft", Date.now);
  await firewall.open({ verdict: "reject", allow: [] });
  const from = network.attacker;
  const add = [from.ipv4, from.ipv6].map((net) => ({ net, ports: null, untilMs: null }));
  await firewall.apply({ ...noChange, add });
  assert.equal(await attacker.knock(from.ipv4, host.ipv4, 22), "refused");
  assert.equal(await attacker.knock(from.ipv6, host.ipv6, 22), "refused");
  const stopped = (await firewall.counters()).filter(({ packets }) => packets > 0).map(({ name }) => name);
  assert.deepEqual(stopped, ["all4", "all6"]);
  assert.equal(
    (await firewall.counters()).find(({ packets }) => packets > 0),
    undefined,
    "counts are since the last call",
  );
});

test("nftables: what is held and what was stopped is told also while others change their tables all the time", {
  skip,
  timeout: 60_000,
}, async () => {
  using network = openNetwork(1);
  const { firewall, host } = await openFirewall(network);
  await firewall.apply({ ...noChange, add: [{ net: "192.0.2.1", ports: null, untilMs: null }] });
  using _ = changeOtherTable(host.prefix);
  for (let count = 0; count < 8; count += 1) {
    assert.equal(await firewall.holds?.({ net: "192.0.2.1", ports: null }), true);
    assert.equal(await firewall.holds?.({ net: "192.0.2.2", ports: null }), false);
    assert.equal((await firewall.counters()).length, 6);
  }
});

test("nftables: a table of another make under our name is replaced", { skip, timeout: 60_000 }, async () => {
  using network = openNetwork(1);
  const [host] = network.hosts;
  assert(host !== undefined);
  await host.run(["nft", "-f", "-"], "add table inet fleet2ban\nadd set inet fleet2ban a4 { type ipv6_addr; }\n");
  const firewall = nftablesBackend(host.run, "nft", Date.now);
  await firewall.open({ verdict: "drop", allow: [] });
  assert.equal(await firewall.health(), "ok");
  await firewall.replaceAll([{ net: "192.0.2.1", ports: null, untilMs: null }], { verdict: "drop", allow: [] });
  assert.equal((await firewall.list()).length, 1);
});

test("nftables: a batch longer than a transaction and a replacement longer than one come whole", {
  skip,
  timeout: 60_000,
}, async () => {
  using network = openNetwork(1);
  const { firewall } = await openFirewall(network);
  const many = Array.from({ length: 21_000 }, (_, index) => ({
    net: `192.0.${index >> 8}.${index & 255}`,
    ports: index % 2 === 0 ? null : [22],
    untilMs: null,
  }));
  assert.equal((await firewall.apply({ ...noChange, add: many })).applied, many.length);
  assert.equal((await firewall.list()).length, many.length);
  const more = many.map((each, index) => ({
    ...each,
    net: `2001:db8::${index.toString(16)}`,
    ports: [22, 80, 443, 25, 110],
  }));
  assert.equal((await firewall.replaceAll(more, { verdict: "drop", allow: [] })).applied, more.length);
  // Listing two hundred thousand takes nft 1.0.6 far longer than writing them.
  assert.equal(await firewall.health(), "ok");
});

async function openFirewall({ hosts: [host] }: TestNetwork) {
  assert(host !== undefined);
  const firewall = nftablesBackend(host.run, "nft", Date.now);
  await firewall.open({ verdict: "drop", allow: [] });
  return { firewall, host };
}

/** A program that changes a table of its own as fast as it can. */
function changeOtherTable(prefix: readonly string[]): Disposable {
  const [command = "", ...args] = [...prefix, "nft", "-i"];
  const program = spawn(command, args, { stdio: ["pipe", "ignore", "ignore"] });
  const set = "add table inet other\nadd set inet other busy { type ipv4_addr; flags timeout; }\n";
  const lines = Array.from({ length: 250 }, (_, index) => `add element inet other busy { 10.0.0.${index} timeout 1s }`);
  Readable.from(endless(set, `${lines.join("\n")}\n`)).pipe(program.stdin.on("error", () => undefined));
  return { [Symbol.dispose]: () => void program.kill("SIGKILL") };
}

function* endless(first: string, rest: string): Generator<string> {
  yield first;
  for (;;) yield rest;
}
