import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { carryOutOrders } from "../../../agent/carry-out-orders.ts";
import { Enforcer } from "../../../agent/firewall/enforcer.ts";
import { ipsetBackend } from "../../../agent/firewall/ipset.ts";
import { nftablesBackend } from "../../../agent/firewall/nftables.ts";
import type { RunCommand } from "../../../agent/firewall/run-command.ts";
import type { JailEffects } from "../../../agent/watch/jail-effects.ts";
import { overlaps, parseNet } from "../../../shared/address.ts";
import type { Order, Scope } from "../../../shared/order.ts";
import { namespacesMissing, openNetwork } from "../../support/namespaces.ts";

const skip = namespacesMissing("nft", "ipset", "iptables", "ip6tables");

/** Two neighbourhoods small enough that everything meets everything. */
const nets = [
  ...["192.0.2.0/24", "192.0.2.0/30", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"],
  ...["2001:db8:1::/48", "2001:db8:1:1::/64", "2001:db8:1:1::1/128", "2001:db8:1:2::/64"],
];
/** In the operator's own list; the rest comes and goes. */
const always = ["192.0.2.3/32", "2001:db8:1:2::9/128"];
const net = fc.constantFrom(...nets);
const id = fc.integer({ min: 1, max: 5 });
const scope = fc.constantFrom<Scope>("fleet", "tenant:t1", "host:h1");
const untilMs = fc.constantFrom(null, 3_600_000, 7_200_000);
const ports = fc.constantFrom(null, [22], [22, 80]);

const order: fc.Arbitrary<Order> = fc.oneof(
  fc.record({ kind: fc.constant("ban" as const), id, net, untilMs, ports, level: fc.constant(0) }),
  fc.record({ kind: fc.constant("ban" as const), id, net, untilMs, ports, level: fc.constant(0) }),
  fc.record({ kind: fc.constant("unban" as const), id, net, reason: fc.constant("expired" as const) }),
  fc.record({
    kind: fc.constant("allow" as const),
    id,
    net,
    untilMs: fc.constant(null),
    never: fc.constant(true as const),
  }),
  fc.record({ kind: fc.constant("allow" as const), id, net, untilMs: fc.constant(null) }),
  fc.record({ kind: fc.constant("disallow" as const), id, net }),
);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("orders" as const),
      scope,
      orders: fc.array(order, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("jail" as const), net, untilMs }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sessions" as const), nets: fc.subarray(nets) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ kind: "replay" as const }, { kind: "restart" as const }, { kind: "flush" as const }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
// The host's own jails have nothing to lift here.
const effects = { lift: async () => 0 } as unknown as JailEffects;

/** One life after another of an agent on the same kernel. */
async function play(run: RunCommand, open: () => Enforcer, steps: readonly Step[], flush: readonly string[]) {
  let enforcer = open();
  let sessions: readonly string[] = [];
  const said: { scope: Scope; orders: readonly Order[] }[] = [];
  const nevers = new Map<string, string>();
  const protect = () => enforcer.protect([...always, ...sessions].map((each) => ({ net: each, why: "never list" })));
  const carryOut = (each: (typeof said)[number]) =>
    carryOutOrders(each.scope, each.orders, { enforcer, effects, jails: [], now: () => 0 });
  await protect();
  await enforcer.open();
  for (const each of steps) {
    if (each.kind === "orders") {
      said.push(each);
      await carryOut(each);
    } else if (each.kind === "jail") {
      await enforcer.ban([
        { id: `jail:sshd:${each.net}`, tier: "host", net: each.net, ports: null, untilMs: each.untilMs },
      ]);
    } else if (each.kind === "sessions") {
      sessions = each.nets;
      await protect();
    } else if (each.kind === "replay") for (const earlier of said) await carryOut(earlier);
    else if (each.kind === "flush") await run(flush);
    else {
      await enforcer.close();
      enforcer = open();
      await protect();
      for (const earlier of said) await carryOut(earlier);
      await enforcer.open();
    }
    for (const { scope: owner, orders } of each.kind === "orders" ? [each] : each.kind === "replay" ? said : []) {
      for (const one of orders) {
        if (one.kind === "allow" && one.never === true) nevers.set(`${owner} ${one.id}`, one.net);
        else if (one.kind === "allow" || one.kind === "disallow") nevers.delete(`${owner} ${one.id}`);
      }
    }
    await assertClear(run, [...always, ...sessions, ...nevers.values()], JSON.stringify(each));
  }
  await enforcer.close();
}

/** No set that drops holds anything that shares an address with these. Read by the tools' own words, not by our code. */
async function assertClear(run: RunCommand, never: readonly string[], after: string): Promise<void> {
  const texts: string[] = [];
  const nft = (await run(["nft", "list", "table", "inet", "fleet2ban"])).stdout;
  for (const [, name = "", body = ""] of nft.matchAll(/^\tset (\S+) \{(.*?)^\t\}/gms)) {
    if (name.startsWith("allow")) continue;
    const length = /_(\d+)$/.exec(name)?.[1];
    const members = /elements = \{(.*?)\}/s.exec(body)?.[1] ?? "";
    for (const [address] of members.matchAll(/\d+\.\d+\.\d+\.\d+|2001:[\da-f:]+/g)) {
      texts.push(length === undefined ? address : `${address}/${length}`);
    }
  }
  const ipset = (await run(["ipset", "save"])).stdout;
  for (const [, address = ""] of ipset.matchAll(/^add f2b[46]p? ([^\s,]+)/gm)) texts.push(address);
  for (const text of texts) {
    const held = parseNet(text);
    assert(held !== undefined, text);
    for (const each of never) {
      const friend = parseNet(each);
      assert(friend !== undefined && !overlaps(friend, held), `${text} is dropped and touches ${each}, after ${after}`);
    }
  }
}

for (const name of ["nftables", "ipset"] as const) {
  test(`${name}: no orders, bans, replays and restarts ever put a never-listed address into a set that drops`, {
    skip,
    timeout: 120_000,
  }, async () => {
    using network = openNetwork(1);
    const [host] = network.hosts;
    assert(host !== undefined);
    const { run } = host;
    const programs = { ipset: "ipset", iptables: "iptables", ip6tables: "ip6tables" };
    const open = () =>
      new Enforcer({
        backend: name === "nftables" ? nftablesBackend(run, "nft", () => 0) : ipsetBackend(run, programs, () => 0),
        ...{ verdict: "drop", log: silent, upMs: () => 0 },
      });
    const flush = name === "nftables" ? ["nft", "flush", "ruleset"] : ["iptables", "-t", "raw", "-F", "fleet2ban"];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 12 }), (steps) => play(run, open, steps, flush)),
      { numRuns: name === "nftables" ? 25 : 6, interruptAfterTimeLimit: 40_000 },
    );
  });
}
