import assert from "node:assert/strict";
import { test } from "node:test";
import { createJudge } from "../../../server/domain/create-judge.ts";
import { judgeList } from "../../../server/domain/feed-judgement.ts";
import { parseNet } from "../../../shared/address.ts";
import {
  day,
  decide,
  defaultPolicy,
  type Event,
  event,
  failure,
  hour,
  incident,
  judgeOf,
  start,
  tell,
  voter,
} from "./story.ts";

// Attacks on the judgement, by their numbers in our threat model. Those that are stopped elsewhere have their tests there:
// P3 (speaking as another host)           bus/permissions.test.ts
// P4 (a flood that starves others)        hosts/conduct.test.ts, bus/permissions.test.ts
// P6 (self-service beyond its limits)     ingest/admin-acts.test.ts, http/desk-work.test.ts
// P7 (orders replayed, swapped, forged)   agent/fleet/scope-state.test.ts, shared/order-frame.test.ts, orders/convergence.test.ts
// P11 (reading another tenant)            http/isolation.test.ts, bus/permissions.test.ts, orders/convergence.test.ts
// P9 (a list that turned into something else), as it is downloaded: feeds/download.test.ts, feeds/keeper.test.ts

const netOf = (text: string) => {
  const net = parseNet(text);
  assert.ok(net, text);
  return net;
};
const fleetOf = (told: readonly string[]) => told.filter((line) => / ban \S+ fleet /.test(line));
const quorum = ["a", "b", "c"].map((tenant) => voter(tenant));

test("P1: fifty evil hosts of one customer accuse a resolver for a month: no fleet ban", () => {
  const evil = Array.from({ length: 30 }, (_, round) =>
    Array.from({ length: 50 }, (_, host) => incident(round * day, "198.51.100.53", { tenant: "a", host: `h${host}` })),
  ).flat();
  assert.deepEqual(fleetOf(tell([...quorum, ...evil])), []);
});

test("P1: three customers who really see it are enough, at the second of the third report", () => {
  const seen = ["a", "b", "c"].map((tenant, index) => incident(index, "198.51.100.53", { tenant }));
  assert.deepEqual(fleetOf(tell([...quorum, ...seen])), [
    "2 ban 198.51.100.53/32 fleet L0 until 3602 22 votes 3h 3t 9f",
  ]);
});

test("P2: a thousand customers who signed up yesterday have no say in the fleet", () => {
  const sybils = Array.from({ length: 1000 }, (_, index) => `s${index}`);
  const events = [
    ...sybils.map((tenant) => voter(tenant, day)),
    ...sybils.map((tenant, index) => incident(index, "198.51.100.53", { tenant })),
  ];
  assert.deepEqual(fleetOf(tell([...quorum, ...events])), []);
  const two = ["a", "b"].map((tenant) => incident(2000, "198.51.100.53", { tenant }));
  assert.deepEqual(fleetOf(tell([...quorum, ...events, ...two])), [], "nor do they fill up two honest votes");
});

test("P2: a thousand colluding hosts of one old customer are one vote", () => {
  const colluding = Array.from({ length: 1000 }, (_, index) =>
    incident(index * 10, "198.51.100.53", { tenant: "a", host: `h${index}`, jail: `j${index % 20}` }),
  );
  assert.deepEqual(fleetOf(tell([...quorum, ...colluding, incident(1, "198.51.100.53", { tenant: "b" })])), []);
});

/** Addresses of different networks, so that no network's ban answers for them. */
const scattered = (index: number) => `2001:db8:${index.toString(16)}::1`;

test("P4: a host that accuses the whole internet is quarantined after its limit, and others go on", () => {
  const flood = Array.from({ length: 5000 }, (_, index) => incident(0, scattered(index), { host: "evil" }));
  const judge = judgeOf(flood);
  assert.equal(judge.size().bans, 300);
  assert.equal(decide(judge, [incident(1, "198.51.100.1", { host: "good" })]).length, 1);
});

test("P5: nobody bans everyone: too wide, reserved, the fleet's own addresses", () => {
  const own = event(0, "never", { net: "203.0.113.10" });
  const nets = ["0.0.0.0/0", "::/0", "10.0.0.0/8", "61.177.0.0/16", "203.0.113.0/24", "203.0.113.10", "2001:db8::/32"];
  const bans = nets.map((net) => event(1, "ban", { net, scope: "fleet", bantime: null }));
  assert.deepEqual(
    tell([own, ...bans]).map((line) => line.split(" ")[1]),
    nets.map(() => "refused"),
  );
});

test("P5: a thousand bans in a minute are an attack or our own mistake: the rest waits for an admin", () => {
  const attack = Array.from({ length: 1500 }, (_, index) => incident(0, scattered(index), { host: `h${index % 10}` }));
  const judge = judgeOf(attack);
  assert.equal(judge.size().standing, 1000);
  assert.equal(judge.held().length, 500);
});

test("P6: who frees himself and goes on is banned longer, not for free", () => {
  const free = (at: number) => event(at, "unban", { net: "192.0.2.1", scope: "fleet", reason: "admin" });
  const told = tell([0, 10, 20].flatMap((at) => [incident(at, "192.0.2.1"), free(at + 5)]));
  assert.match(told.at(-2) ?? "", / L1 until/);
});

test("P8: lifting one address or network lifts nothing beside it, inside it or around it", () => {
  const byHand = ["192.0.2.0/24", "192.0.2.1", "192.0.2.2", "192.0.2.128/25"];
  const bans = byHand.map((net) => event(0, "ban", { net, scope: "fleet", bantime: null }));
  const left = (net: string) => judgeOf([...bans, event(1, "unban", { net, scope: "fleet" })]).size().standing;
  for (const net of byHand) assert.equal(left(net), 3, net);
  for (const net of ["0.0.0.0/0", "192.0.0.0/16", "192.0.2.0/25", "192.0.2.3"]) assert.equal(left(net), 4, net);
});

const goodList = Array.from({ length: 200 }, (_, index) => `198.51.100.${index}`);
const badLists: Readonly<Record<string, readonly string[]>> = {
  "an advertisement": ["<!DOCTYPE html>", "<html><body>", "<p>198.51.100.1</p>", "Sign in to MaxMind to go on"],
  "a page that refuses us": ["<html>", "<title>403 Forbidden</title>", "Ray ID: 198.51.100.1", "</html>"],
  "an error as JSON": [`{"error":"rate limit","client":"198.51.100.1"}`],
  "an empty file": [""],
  "its comments alone": ["; Spamhaus DROP List", "# see you later"],
  everybody: [...goodList, "0.0.0.0/0"],
  "everybody of IPv6": [...goodList, "::/0"],
  "half of the internet": [...goodList, "128.0.0.0/1"],
  "our own networks": [...goodList, ...Array.from({ length: 30 }, (_, index) => `10.0.${index}.0/24`)],
  "the fleet itself": Array.from({ length: 200 }, (_, index) => `203.0.113.${index}`),
  "half of it gone": goodList.slice(100),
  "twice as much": [...goodList, ...goodList.map((net) => net.replace("198.51.100", "192.0.2"))],
  "a table with other columns": goodList.map((net) => `2026-11-27,${net},US`),
  "noise for every twentieth line": goodList.map((net, index) => (index % 20 === 0 ? "\u0000\u0007" : net)),
};

for (const [what, lines] of Object.entries(badLists)) {
  test(`P9: a list that turned into something else bans nobody: ${what}`, () => {
    const { reserved, limits } = defaultPolicy;
    const nevers = Array.from({ length: 200 }, (_, index) => netOf(`203.0.113.${index}`));
    const guard = { reserved, nevers, allows: [], widest: limits.widestBan };
    const judge = (text: readonly string[]) =>
      judgeList(text.join("\n"), guard, { entriesMax: 10_000, lastListed: goodList.length });
    assert.equal(judge(goodList).kind, "accepted");
    assert.equal(judge(lines).kind, "refused");
  });
}

test("P10: an address the fleet allows (a proxy, a CDN) is never banned for all, though attacks come through it", () => {
  const proxy = event(0, "allow", { net: "198.51.100.0/24" });
  const through = ["a", "b", "c", "default"].map((tenant) => incident(1, "198.51.100.7", { tenant }));
  assert.deepEqual(fleetOf(tell([...quorum, proxy, ...through])), []);
});

test("P11: the evidence of a fleet ban by votes names no failure of another tenant, only counts and hosts for the desk", () => {
  const judge = createJudge(defaultPolicy);
  const decisions = decide(judge, [
    ...quorum,
    ...["a", "b", "c"].map((tenant) => incident(1, "192.0.2.1", { tenant })),
  ]);
  const tenantBan = decisions.find((decision) => decision.kind === "ban" && decision.scope === "tenant:a");
  assert.deepEqual(tenantBan?.kind === "ban" && tenantBan.evidence.sources, ["a/h1"]);
});

test("E1: two tries a host on a hundred hosts: each host sees nothing, the fleet sees it after three", () => {
  const slow = Array.from({ length: 100 }, (_, index) => failure(index * 10, "192.0.2.1", { host: `h${index % 50}` }));
  assert.equal(fleetOf(tell(slow))[0], "20 ban 192.0.2.1/32 fleet L0 until 3620 22 jail sshd 3h 1t 3f");
});

test("E1: one try per host every four hours is seen by its spread", () => {
  const slow = Array.from({ length: 5 }, (_, index) => failure(index * 4 * hour, "192.0.2.1", { host: `h${index}` }));
  assert.deepEqual(fleetOf(tell(slow)), ["57600 ban 192.0.2.1/32 fleet L0 until 61200 all spread 5h 1t 5f"]);
});

test("E2: a spray over a /24 closes the /24 for an hour, then a day, never more", () => {
  const spray = Array.from({ length: 200 }, (_, index) => incident(index * 600, `192.0.2.${index}`));
  const networks = fleetOf(tell(spray)).filter((line) => line.includes("network"));
  assert.ok(networks.length > 1);
  for (const line of networks) assert.match(line, /192\.0\.2\.0\/24 fleet L[01] /);
});

test("E3: ten thousand addresses of one /64 are one ban", () => {
  const hops: Event[] = Array.from({ length: 10_000 }, (_, index) =>
    failure(0, `2001:db8::${(index + 1).toString(16)}`),
  );
  assert.deepEqual(tell(hops), ["0 ban 2001:db8::/64 fleet L0 until 3600 22 jail sshd 1h 1t 3f"]);
});

test("G1: an office's first ban closes only the service it failed at", () => {
  const policy = { jails: { dovecot: { ports: [143, 993] } } };
  const [ban] = tell([incident(0, "192.0.2.1", { jail: "dovecot" })], policy);
  assert.equal(ban, "0 ban 192.0.2.1/32 fleet L0 until 3600 143,993 jail dovecot 1h 1t 3f");
});

test("a host whose clock is years ahead bans nobody longer and keeps no window open", () => {
  const ahead = { at: start, kind: "failure", host: "h1", jail: "sshd", ip: "192.0.2.1", count: 1 };
  const judge = createJudge(defaultPolicy);
  decide(judge, [ahead]);
  const fact = {
    kind: "failure",
    tenant: "default",
    host: "h1",
    jail: "sshd",
    address: "192.0.2.1",
    count: 1,
  } as const;
  judge.apply({ ...fact, atMs: (start + 4000 * day) * 1000 }, (start + 1) * 1000);
  const { decisions } = judge.apply({ ...fact, atMs: (start + hour + 1) * 1000 }, (start + hour + 1) * 1000);
  assert.deepEqual(decisions, [], "the first is over an hour old, the one from the future counted then");
});
