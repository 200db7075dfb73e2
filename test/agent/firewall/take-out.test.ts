import assert from "node:assert/strict";
import { test } from "node:test";
import { ipsetBackend } from "../../../agent/firewall/ipset.ts";
import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import { takeOut } from "../../../agent/firewall/take-out.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";

const programs = ["nft", "ipset", "iptables", "ip6tables"];
const now = Date.now;

test("uninstalling takes ours out of every firewall it was ever in, and nothing else", {
  skip: namespacesMissing(...programs),
}, async () => {
  using network = openNetwork(1);
  const run = network.hosts[0]?.run ?? assert.fail("no host");
  const setup = { verdict: "drop", allow: [] } as const;
  for (const backend of [
    nftablesBackend(run, "nft", now),
    ipsetBackend(run, { ipset: "ipset", iptables: "iptables", ip6tables: "ip6tables" }, now),
  ]) {
    await backend.open(setup);
    await backend.apply({ add: [{ net: "192.0.2.1", ports: null, untilMs: null }], renew: [], remove: [] });
  }
  await run(["nft", "add table inet other"]);
  await run(["ipset", "create", "other", "hash:ip"]);
  await run(["iptables", "-t", "raw", "-A", "PREROUTING", "-s", "198.51.100.9", "-j", "ACCEPT"]);

  const find = (program: string) => (programs.includes(program) ? program : undefined);
  assert.deepEqual(await takeOut({ now, run, find }), ["nftables", "ipset"]);

  const { stdout: tables } = await run(["nft", "list", "ruleset"]);
  assert.match(tables, /table inet other/);
  assert.match(tables, /198\.51\.100\.9/);
  assert.doesNotMatch(tables, /fleet2ban|192\.0\.2\.1/);
  assert.equal((await run(["ipset", "list", "-n"])).stdout.trim(), "other");
  assert.deepEqual(await takeOut({ now, run, find }), []);
});
