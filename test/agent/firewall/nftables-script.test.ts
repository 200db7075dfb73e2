import assert from "node:assert/strict";
import { test } from "node:test";
import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import {
  type BanSet,
  baseSets,
  changeScript,
  newSetScript,
  parseSetName,
  placeElement,
  setName,
  tableScript,
} from "../../../agent/firewall/nftables-script.ts";
import { observingBackend } from "../../../agent/firewall/observe.ts";
import type { RunCommand } from "../../../agent/firewall/run-command.ts";

const nowMs = 1_000_000;
const place = (net: string, untilMs: number | null = null, ports: readonly number[] | null = null) => {
  const placed = placeElement({ net, ports, untilMs });
  assert(!("reason" in placed), `${net} is refused`);
  return placed;
};
const lines = (script: string) => script.trimEnd().split("\n");

test("a new ban is one plain add, its timeout the rest of it and a second", () => {
  const add = [place("192.0.2.1/32", nowMs + 59_001), place("192.0.2.2"), place("2001:db8:0:1::/64", nowMs + 1)];
  assert.deepEqual(lines(changeScript({ add, renew: [], remove: [] }, nowMs)), [
    "add element inet fleet2ban a4 { 192.0.2.1 timeout 61s, 192.0.2.2 }",
    "add element inet fleet2ban n6_64 { 2001:db8:0:1:: timeout 2s }",
  ]);
});

test("a renewed ban is added, deleted and added; a lifted one added and deleted: neither can fail", () => {
  const renew = [place("192.0.2.1", nowMs + 10_000)];
  const remove = [place("192.0.2.0/24", null, [22])];
  assert.deepEqual(lines(changeScript({ add: [], renew, remove }, nowMs)), [
    "add element inet fleet2ban p4_24 { 192.0.2.0 . tcp . 22 timeout 1s, 192.0.2.0 . udp . 22 timeout 1s }",
    "delete element inet fleet2ban p4_24 { 192.0.2.0 . tcp . 22, 192.0.2.0 . udp . 22 }",
    "add element inet fleet2ban a4 { 192.0.2.1 timeout 1s }",
    "delete element inet fleet2ban a4 { 192.0.2.1 }",
    "add element inet fleet2ban a4 { 192.0.2.1 timeout 11s }",
  ]);
});

test("each prefix length has its set, whose name tells it", () => {
  const sets: BanSet[] = [
    ...baseSets,
    { family: 4, prefix: 8, ports: false },
    { family: 6, prefix: 48, ports: true },
    { family: 6, prefix: 128, ports: true },
  ];
  assert.deepEqual(sets.map(setName), ["a4", "a6", "n6_64", "p4", "p6_64", "n4_8", "p6_48", "p6"]);
  assert.deepEqual(sets.map(setName).map(parseSetName), sets);
  for (const foreign of ["allow4", "n4", "a4_24", "a5", "x", "n4_032"]) assert.equal(parseSetName(foreign), undefined);
});

test("a network's rule masks the source, a port's rule joins protocol and port", () => {
  const rule = (set: BanSet, verdict: "drop" | "reject") => lines(newSetScript(set, { verdict, allow: [] }))[1];
  assert.equal(
    rule({ family: 4, prefix: 20, ports: false }, "drop"),
    'add rule inet fleet2ban pre ip saddr & 255.255.240.0 @n4_20 counter name "c_net4" drop',
  );
  assert.equal(
    rule({ family: 6, prefix: 48, ports: true }, "reject"),
    'add rule inet fleet2ban pre ip6 saddr & ffff:ffff:ffff:: . meta l4proto . th dport @p6_48 counter name "c_port6" goto refuse',
  );
});

test("the allow sets hold no network inside another, since nft refuses overlaps", () => {
  const allow = ["192.0.2.7", "192.0.2.0/24", "192.0.2.0/25", "198.51.100.1/32", "198.51.100.1", "2001:db8::1"];
  const script = lines(tableScript({ verdict: "drop", allow }, baseSets)).slice(-2);
  assert.deepEqual(script, [
    "add element inet fleet2ban allow4 { 192.0.2.0/24, 198.51.100.1 }",
    "add element inet fleet2ban allow6 { 2001:db8::1 }",
  ]);
  assert.throws(
    () => tableScript({ verdict: "drop", allow: ["web-1; flush ruleset"] }, []),
    /the allow list has "web-1;/,
  );
});

test("what a kernel refuses is found by halving, and everything else stands", async () => {
  const stands = new Set<string>();
  const bad = ["192.0.2.3", "192.0.2.200"];
  const run: RunCommand = async (command, stdin = "") => {
    if (command.includes("list")) return { code: 0, stdout: "table inet fleet2ban {\n}\n", stderr: "" };
    if (bad.some((each) => new RegExp(`\\b${each}\\b`).test(stdin))) {
      return { code: 1, stdout: "", stderr: "Error: Too many open files in system\nmore" };
    }
    for (const [address] of stdin.matchAll(/192\.0\.2\.\d+/g)) stands.add(address);
    return { code: 0, stdout: "", stderr: "" };
  };
  const firewall = nftablesBackend(run, "nft", () => nowMs);
  await firewall.open({ verdict: "drop", allow: [] });
  const add = Array.from({ length: 256 }, (_, index) => ({ net: `192.0.2.${index}`, ports: null, untilMs: null }));
  const reason = "Error: Too many open files in system";
  assert.deepEqual(await firewall.apply({ add, renew: [], remove: [] }), {
    applied: 254,
    rejected: bad.map((net) => ({ net, reason })),
  });
  assert.equal(stands.size, 254);
});

test("no more than eight prefix lengths are in use per family", async () => {
  const run: RunCommand = async () => ({ code: 0, stdout: "", stderr: "" });
  const firewall = nftablesBackend(run, "nft", () => nowMs);
  await firewall.open({ verdict: "drop", allow: [] });
  const add = [8, 9, 10, 11, 12, 13, 14, 15].map((prefix) => ({
    net: `192.0.2.0/${prefix}`,
    ports: null,
    untilMs: null,
  }));
  const { applied, rejected } = await firewall.apply({ add, renew: [], remove: [] });
  assert.equal(applied, 7);
  assert.match(rejected[0]?.reason ?? "", /9th prefix length; in use are \/32 \/8 \/9/);
});

test("the observing firewall prints the script it would run and stops nothing", async () => {
  const printed: string[] = [];
  const firewall = observingBackend(
    (text) => printed.push(text),
    () => nowMs,
  );
  const add = Array.from({ length: 25 }, (_, index) => ({
    net: `192.0.2.${index}/32`,
    ports: null,
    untilMs: nowMs + 9000,
  }));
  await firewall.apply({ add, renew: [], remove: [{ net: "203.0.113.0/24", ports: null }] });
  const text = printed.join("");
  assert.match(text, /^# would run: nft -f - \(add=25 renew=0 remove=1 sets=a4,n4_24\)\n/);
  assert.match(
    text,
    /delete element inet fleet2ban n4_24 { 203\.0\.113\.0 }\nadd element inet fleet2ban a4 { 192\.0\.2\.0 timeout 10s,/,
  );
  assert.equal(text.match(/timeout 10s/g)?.length, 20);
  assert.match(text, /^# … and 5 more$/m);
  assert.equal((await firewall.list()).length, 25);
  assert.equal(firewall.enforcing, false);
});
