import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Element } from "../../../agent/firewall/firewall.ts";
import { elementKey, noChange } from "../../../agent/firewall/firewall.ts";
import {
  type AllowTier,
  type BanTier,
  type OwnedBan,
  type WantedChange,
  WantedSet,
} from "../../../agent/firewall/wanted-set.ts";
import { contains, type Net, overlaps, parseNet } from "../../../shared/address.ts";

const one = "192.0.2.1/32";
const ban = (id: string, fields: Partial<OwnedBan> = {}): OwnedBan => ({
  id,
  tier: "fleet",
  net: one,
  ports: null,
  untilMs: 1000,
  ...fields,
});
const allow = (tier: AllowTier, net: string, untilMs: number | null = null) => [
  { id: `${tier} ${net}`, tier, net, untilMs },
];
const element = (fields: Partial<Element> = {}): Element => ({ net: one, ports: null, untilMs: 1000, ...fields });

test("the first ban of an element is new, a second owner changes it only when it ends later", () => {
  const wanted = new WantedSet();
  assert.deepEqual(wanted.ban([ban("fleet:1")]), { change: { ...noChange, add: [element()] }, allow: null });
  assert.deepEqual(wanted.ban([ban("jail:sshd", { tier: "host", untilMs: 1000 })]).change, noChange);
  assert.deepEqual(wanted.ban([ban("tenant:1", { tier: "tenant", untilMs: null })]).change, {
    ...noChange,
    renew: [element({ untilMs: null })],
  });
});

test("lifting one owner's ban leaves the other's end, and the last one removes the element", () => {
  const wanted = new WantedSet();
  wanted.ban([ban("fleet:1", { untilMs: 5000 }), ban("fleet:2", { untilMs: 1000 })]);
  assert.deepEqual(wanted.unban(["fleet:1"]).change, { ...noChange, renew: [element()] });
  assert.deepEqual(wanted.unban(["fleet:1", "fleet:9"]).change, noChange);
  assert.deepEqual(wanted.unban(["fleet:2"]).change, { ...noChange, remove: [element()] });
  assert.equal(wanted.size, 0);
});

test("an address is the same element however its length is written", () => {
  const wanted = new WantedSet();
  wanted.ban([ban("a", { net: "192.0.2.1" })]);
  assert.deepEqual(wanted.ban([ban("b", { net: "192.0.2.1/32", untilMs: 9 })]).change, noChange);
  assert.deepEqual(wanted.unban(["a"]).change.renew, [element({ untilMs: 9 })]);
});

test("bans that share a port do not lift each other's", () => {
  const wanted = new WantedSet();
  wanted.ban([ban("a", { ports: [22] }), ban("b", { ports: [22, 80] })]);
  assert.deepEqual(wanted.unban(["b"]).change, { ...noChange, remove: [element({ ports: [80] })] });
  assert.deepEqual([...wanted.elements()], [element({ ports: [22] })]);
});

test("a never and a tenant's allow override every ban they cover, a fleet's allow only the fleet's", () => {
  for (const [tier, survivors] of [
    ["never", []],
    ["tenant", []],
    ["fleet", ["host", "tenant"]],
  ] as const) {
    for (const banTier of ["host", "tenant", "fleet"] as const) {
      const wanted = new WantedSet();
      wanted.ban([ban("b", { tier: banTier })]);
      const survives = survivors.some((each) => each === banTier);
      const lifted = wanted.allow(allow(tier, "192.0.2.0/28")).change;
      assert.deepEqual(lifted.remove.length, survives ? 0 : 1, `${tier} allow, ${banTier} ban`);
      const back = wanted.disallow([`${tier} 192.0.2.0/28`]).change;
      assert.deepEqual(back.add.length, survives ? 0 : 1);
    }
  }
});

test("a never takes a wider ban out as long as it stands, an allow only shields what is inside it", () => {
  const wanted = new WantedSet();
  wanted.ban([ban("b", { net: "192.0.2.0/24", tier: "host" })]);
  assert.deepEqual(wanted.allow(allow("tenant", one)), { change: noChange, allow: ["192.0.2.1"] });
  const taken = wanted.allow(allow("never", one));
  assert.deepEqual(taken.change, { ...noChange, remove: [element({ net: "192.0.2.0/24" })] });
  assert.deepEqual([...wanted.elements()], []);
  assert.deepEqual(wanted.disallow([`never ${one}`]).change.add, [element({ net: "192.0.2.0/24" })]);
});

test("a fleet's allow shields its addresses in the kernel except those that the host or tenant bans", () => {
  const wanted = new WantedSet();
  assert.deepEqual(wanted.allow(allow("fleet", "192.0.2.0/30")).allow, ["192.0.2.0/30"]);
  assert.deepEqual(wanted.ban([ban("f", { net: "192.0.2.0/24" })]).allow, null);
  assert.deepEqual(wanted.ban([ban("h", { tier: "host" })]).allow, ["192.0.2.0", "192.0.2.2/31"]);
  assert.deepEqual(wanted.unban(["h"]).allow, ["192.0.2.0/30"]);
});

test("a fleet's allow shields again what a local ban no longer covers when it moves to another net", () => {
  const wanted = new WantedSet();
  wanted.ban([ban("f", { net: "192.0.2.0/30" }), ban("h", { net: "192.0.2.0/30", tier: "host" })]);
  assert.deepEqual(wanted.allow(allow("fleet", "192.0.2.0/31")).allow, []);
  assert.deepEqual(wanted.ban([ban("h", { tier: "host" })]).allow, ["192.0.2.0"]);
});

test("an ended ban is forgotten ten seconds later and an ended allow at once", () => {
  const wanted = new WantedSet();
  wanted.allow(allow("tenant", "198.51.100.0/24", 900));
  wanted.ban([ban("a"), ban("b", { net: "198.51.100.1/32", untilMs: null })]);
  assert.deepEqual(wanted.expire(899), []);
  const [ended] = wanted.expire(900);
  assert.deepEqual(ended?.change.add, [element({ net: "198.51.100.1/32", untilMs: null })]);
  assert.deepEqual(ended?.allow, []);
  assert.deepEqual(wanted.expire(10_999), []);
  assert.deepEqual(wanted.expire(11_000)[0]?.change.remove, [element()]);
});

test("held elements are out until they are released", () => {
  const wanted = new WantedSet();
  wanted.ban([ban("a")]);
  assert.deepEqual(wanted.hold([one]).change, { ...noChange, remove: [element()] });
  assert.deepEqual(wanted.ban([ban("b", { untilMs: 2000 })]).change, noChange);
  assert.deepEqual([...wanted.elements()], []);
  assert.deepEqual(wanted.release([one]).change, { ...noChange, add: [element({ untilMs: 2000 })] });
});

test("whatever happens in whatever order, the changes add up to the wanted set, and it obeys the precedence", () => {
  const nets = ["192.0.2.0/30", "192.0.2.0/31", "192.0.2.0/32", "192.0.2.1/32", "192.0.2.3/32"];
  const net = fc.constantFrom(...nets);
  const id = fc.integer({ min: 0, max: 4 }).map(String);
  const untilMs = fc.constantFrom(null, 1000, 2000);
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      kind: fc.constant("ban" as const),
      id,
      net,
      untilMs,
      tier: fc.constantFrom<BanTier>("host", "tenant", "fleet"),
      ports: fc.constantFrom(null, [22], [22, 80]),
    }),
    fc.record({
      kind: fc.constant("allow" as const),
      id,
      net,
      tier: fc.constantFrom<AllowTier>("never", "tenant", "fleet"),
    }),
    fc.record({
      kind: fc.constantFrom("unban" as const, "disallow" as const, "hold" as const, "release" as const),
      id,
      net,
    }),
    fc.record({ kind: fc.constant("expire" as const), nowMs: fc.constantFrom(900, 11_500) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const wanted = new WantedSet();
      const kernel = new Map<string, Element>();
      let allowed: readonly string[] = [];
      const bans = new Map<string, OwnedBan>();
      const allows = new Map<string, { tier: AllowTier; net: string }>();
      for (const each of steps) {
        const changes = perform(wanted, each);
        if (each.kind === "ban") bans.set(each.id, each);
        else if (each.kind === "allow") allows.set(each.id, each);
        else if (each.kind === "unban") bans.delete(each.id);
        else if (each.kind === "disallow") allows.delete(each.id);
        else if (each.kind === "expire") {
          for (const [key, { untilMs: end }] of bans) if (end !== null && end + 10_000 <= each.nowMs) bans.delete(key);
        }
        for (const { change, allow: nowAllowed } of changes) {
          for (const gone of change.remove) assert(kernel.delete(elementKey(gone)), "removes only what is there");
          for (const changed of change.renew) {
            assert(kernel.has(elementKey(changed)), "renews only what is there");
            kernel.set(elementKey(changed), changed);
          }
          for (const fresh of change.add) {
            assert(!kernel.has(elementKey(fresh)), "adds only what is not there");
            kernel.set(elementKey(fresh), fresh);
          }
          allowed = nowAllowed ?? allowed;
        }
      }
      assert.deepEqual(sorted(kernel.values()), sorted(wanted.elements()));
      assert.deepEqual(allowed, wanted.allowNets);
      if (!steps.some(({ kind }) => kind === "hold")) comparePackets(kernel, allowed, bans, allows);
    }),
    { numRuns: 300 },
  );
});

type Step =
  | (Readonly<{ kind: "ban" }> & OwnedBan)
  | Readonly<{ kind: "allow"; id: string; net: string; tier: AllowTier }>
  | Readonly<{ kind: "unban" | "disallow" | "hold" | "release"; id: string; net: string }>
  | Readonly<{ kind: "expire"; nowMs: number }>;

function perform(wanted: WantedSet, step: Step): readonly WantedChange[] {
  switch (step.kind) {
    case "ban":
      return [wanted.ban([step])];
    case "allow":
      return [wanted.allow([{ ...step, untilMs: null }])];
    case "unban":
      return [wanted.unban([step.id])];
    case "disallow":
      return [wanted.disallow([step.id])];
    case "hold":
      return [wanted.hold([step.net])];
    case "release":
      return [wanted.release([step.net])];
    case "expire":
      return wanted.expire(step.nowMs);
  }
}

/** Sends every address and port through the kernel's sets and through the precedence as the design states it. */
function comparePackets(
  kernel: ReadonlyMap<string, Element>,
  allowed: readonly string[],
  bans: ReadonlyMap<string, OwnedBan>,
  allows: ReadonlyMap<string, { tier: AllowTier; net: string }>,
): void {
  const covers = (text: string, address: Net) => contains(parseNet(text) as Net, address);
  const nevers = [...allows.values()].filter(({ tier }) => tier === "never").map((each) => parseNet(each.net) as Net);
  const touches = (text: string) => nevers.some((each) => overlaps(each, parseNet(text) as Net));
  const lawful = [...bans.values()].filter((each) => !touches(each.net));
  for (const { net } of kernel.values()) assert(!touches(net), `${net} touches a never-listed address`);
  for (const last of [0, 1, 2, 3]) {
    const address = parseNet(`192.0.2.${last}`) as Net;
    for (const port of [22, 80, 443]) {
      const stops = (each: Element) => covers(each.net, address) && (each.ports?.includes(port) ?? true);
      const stopped = !allowed.some((net) => covers(net, address)) && [...kernel.values()].some(stops);
      const of = (tiers: readonly string[]) =>
        [...allows.values()].some((each) => tiers.includes(each.tier) && covers(each.net, address));
      const stopping = lawful.filter(stops);
      const ownBan = stopping.some((each) => each.tier !== "fleet");
      const fleetBan = stopping.some((each) => each.tier === "fleet");
      const contested = [...bans.values()].some((each) => each.tier !== "fleet" && covers(each.net, address));
      const should = !of(["never", "tenant"]) && (ownBan || (fleetBan && !of(["fleet"])));
      // A host's ban of one port inside a fleet's allow leaves the other ports to a wider fleet ban: the attacker's own doing.
      if (should !== stopped && contested && of(["fleet"])) continue;
      assert.equal(stopped, should, `192.0.2.${last}:${port}`);
    }
  }
}

function sorted(elements: Iterable<Element>): readonly string[] {
  return [...elements].map((each) => `${elementKey(each)} ${each.untilMs}`).toSorted();
}
