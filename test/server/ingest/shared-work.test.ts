import assert from "node:assert/strict";
import { test } from "node:test";
import { addRule, banByHand, quarantine, setPolicy, unbanNet } from "../../../server/ingest/admin-acts.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import { tick } from "../../../server/ingest/tick.ts";
import { countedOf } from "../../../server/store/memory.ts";
import { shareOut } from "../../../server/store/shares.ts";
import { parseAddress } from "../../../shared/address.ts";
import { minuteMs, secondMs } from "../../../shared/durations.ts";
import { batchOf, failuresOf } from "./arena.ts";
import { Colleagues, decisionsIn, disorderIn } from "./colleagues.ts";

const act = { by: "anna", note: null };
const hosts = Array.from({ length: 12 }, (_, number) => `h${number}`);
const fleet = { default: hosts };
/** Addresses of different partitions, each in a network of its own. */
const manyAddresses = Array.from({ length: 16 }, (_, number) => `198.${51 + number}.100.7`);

/** One address that `writer` judges, of a host it does not take in, or the other way round. */
async function addressOf(colleagues: Colleagues, writer: object): Promise<string> {
  for (const address of manyAddresses) if ((await colleagues.judgeOf(address)) === writer) return address;
  return assert.fail("no such address");
}

/** The same on every run: a linear congruential generator. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * sides);
  };
}

/** A day of everything, by a seed: batches, people, clocks, policies. */
async function liveThrough(colleagues: Colleagues, seed: number, steps: number): Promise<void> {
  const roll = dice(seed);
  const sequences = new Map<string, number>();
  const nets = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", ...manyAddresses.slice(0, 6)];
  const pick = <T>(values: readonly T[]): T => values[roll(values.length)] as T;
  const tenantHosts = [...hosts, "a1", "b1", "c1"];
  const acts = [
    (net: string) =>
      addRule(colleagues.leader, act, {
        kind: "never",
        net,
        tenant: null,
        reason: "x",
        untilMs: colleagues.nowMs + 5 * minuteMs,
      }),
    (net: string) =>
      addRule(colleagues.leader, act, {
        kind: "allow",
        net,
        tenant: pick([null, "a"]),
        reason: "x",
        untilMs: colleagues.nowMs + 3 * minuteMs,
      }),
    (net: string) => banByHand(colleagues.leader, act, { net, scope: "fleet", banTimeMs: 4 * minuteMs, ports: null }),
    (net: string) =>
      unbanNet(colleagues.leader, act, { net, reason: pick(["admin", "false-positive"] as const), tenant: null }),
    () => quarantine(colleagues.leader, act, { tenant: "default", host: pick(hosts), on: roll(3) === 0 }),
    (net: string) =>
      setPolicy(
        colleagues.leader,
        act,
        `networks: { ipv4: { prefix: ${pick([20, 24, 26])}, subjects: ${3 + (net.length % 2)} } }\nlimits: { widestBan: { ipv4: 16 } }`,
      ),
  ];
  for (let step = 0; step < steps; step += 1) {
    colleagues.nowMs += pick([0, 1, 20, 120]) * secondMs;
    const net = pick(nets);
    if (roll(8) === 0) await pick(acts)(net).catch((error: unknown) => assert.match(String(error), /Fleet2banError/));
    else {
      const host = pick(tenantHosts);
      const sequence = (sequences.get(host) ?? 0) + 1;
      sequences.set(host, sequence);
      const failures = [net, pick(nets)].flatMap((address) => failuresOf(address, 1 + roll(2), colleagues.nowMs));
      await colleagues.take(batchOf(host, sequence, { failures }));
      await colleagues.settle();
    }
    for (const writer of colleagues.writers) await tick(writer);
  }
}

const wholeFleet = { ...fleet, a: ["a1"], b: ["b1"], c: ["c1"] };

for (const seed of [1, 2]) {
  test(`three coordinators ban and unban what one alone does on the same day (seed ${seed})`, async () => {
    await using several = await Colleagues.open(wholeFleet, 3);
    await using alone = await Colleagues.open(wholeFleet, 1);
    await liveThrough(several, seed, 120);
    await liveThrough(alone, seed, 120);
    const decisions = await decisionsIn(alone.store);
    assert.ok(decisions.length > 10, `a day without events: ${decisions.length}`);
    assert.deepEqual(await decisionsIn(several.store), decisions);
    assert.deepEqual(await disorderIn(several.store), []);
    const sum = "select weight, sum(count)::bigint as lines from failures group by weight order by weight";
    assert.deepEqual(await several.store.rows(sum), await alone.store.rows(sum));
    // All of them did something, and the leader heard of everything, in its place.
    const owners = await several.store.rows("select distinct coordinator from deeds");
    assert.equal(owners.length, 3);
    const revisions = several.told.flatMap(({ orders }) =>
      orders
        .filter(({ scope }) => scope === "fleet")
        .flatMap(({ from, orders: list }) => list.map((_, index) => from + index + 1)),
    );
    await several.leader.turn(null, async () => undefined);
    assert.deepEqual(
      revisions,
      revisions.map((_, index) => index + 1),
    );
  });
}

test("a never set through one coordinator lifts what another one banned, and binds its next failure", async () => {
  await using colleagues = await Colleagues.open(fleet, 2);
  const [leader, other] = colleagues.writers;
  assert.ok(leader !== undefined && other !== undefined);
  const banned = await addressOf(colleagues, other);
  await colleagues.take(batchOf("h1", 1, { failures: failuresOf(banned, 3, colleagues.nowMs) }));
  await colleagues.settle();
  assert.equal((await colleagues.store.rows("select from bans where ended_ms is null")).length, 1);
  await addRule(leader, act, { kind: "never", net: banned, tenant: null, reason: "customer", untilMs: null });
  assert.deepEqual(await colleagues.store.rows("select end_reason from bans"), [{ end_reason: "allowed" }]);
  colleagues.nowMs += minuteMs;
  const home = await colleagues.homeOf("h1");
  const { lines } = await commitBatches(home, [
    batchOf("h1", 2, { failures: failuresOf(banned, 5, colleagues.nowMs) }),
  ]);
  assert.deepEqual(lines, { never: 5 });
});

test("a failure that is under way to its judge when a never is set counts for nothing", async () => {
  await using colleagues = await Colleagues.open(fleet, 2);
  const [leader, other] = colleagues.writers;
  assert.ok(leader !== undefined && other !== undefined);
  const address = await addressOf(colleagues, other);
  const host = hosts[(await Promise.all(hosts.map((each) => colleagues.homeOf(each)))).indexOf(leader)] ?? "";
  const taken = await commitBatches(leader, [batchOf(host, 1, { failures: failuresOf(address, 3, colleagues.nowMs) })]);
  assert.equal(taken.handedOver, true);
  await addRule(leader, act, { kind: "never", net: address, tenant: null, reason: "customer", untilMs: null });
  assert.deepEqual((await commitBatches(other, [], 100)).lines, { never: 3 });
  assert.deepEqual(await colleagues.store.rows("select from bans"), []);
});

test("an admin's act waits for the turn another coordinator is in, and then sees what came of it", async () => {
  await using colleagues = await Colleagues.open(fleet, 2);
  const [leader, other] = colleagues.writers;
  assert.ok(leader !== undefined && other !== undefined);
  const address = await addressOf(colleagues, other);
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const judging = other.turn(null, async (turn) => {
    begun.resolve();
    await gate.promise;
    const failure = { atMs: turn.nowMs, tenant: "default", host: "h1", jail: "sshd", address, count: 3 };
    turn.apply({ kind: "failure", ...failure, admitted: true });
  });
  await begun.promise;
  let isSet = false;
  const setting = addRule(leader, act, { kind: "never", net: address, tenant: null, reason: "x", untilMs: null });
  void setting.then(() => {
    isSet = true;
  });
  // Long enough for an act that does not wait: it takes a few milliseconds.
  await colleagues.store.rows("select pg_sleep(0.3)");
  assert.equal(isSet, false);
  gate.resolve();
  await Promise.all([judging, setting]);
  assert.deepEqual(await colleagues.store.rows("select end_reason from bans"), [{ end_reason: "allowed" }]);
});

test("the brake holds for all coordinators together, also when they ban at the same moment", async () => {
  await using colleagues = await Colleagues.open(fleet, 2, "limits: { fleetBansPerMinute: 10 }");
  const networks = Array.from({ length: 64 }, (_, number) => `203.${number}.113.7`);
  let sequence = 0;
  for (let round = 0; round < 4; round += 1) {
    const failures = networks
      .slice(round * 16, round * 16 + 16)
      .flatMap((address) => failuresOf(address, 3, colleagues.nowMs));
    sequence += 1;
    const arrived = hosts
      .slice(0, 8)
      .map((host, index) => batchOf(host, sequence, { failures: failures.slice(index * 6, index * 6 + 6) }));
    await Promise.all(arrived.map((each) => colleagues.take(each)));
    for (let left = 1; left > 0; ) {
      const counts = await Promise.all(colleagues.writers.map((writer) => commitBatches(writer, [], 100)));
      left = counts.reduce((sum, { takenOver }) => sum + takenOver, 0);
    }
  }
  assert.deepEqual(await colleagues.store.rows("select count(*) as count from bans"), [{ count: 10 }]);
  assert.deepEqual(await colleagues.store.rows("select count(*) as count from stopped_bans where kind = 'held'"), [
    { count: 54 },
  ]);
  assert.deepEqual(await disorderIn(colleagues.store), []);
  for (const writer of colleagues.writers) {
    await writer.turn(null, async () => undefined);
    assert.equal((await writer.ask((judge) => judge.held())).length, 54);
  }
});

test("a host's limit counts the subjects of all partitions", async () => {
  await using colleagues = await Colleagues.open(fleet, 2, "limits: { agent: { subjectsPerMinute: 20 } }");
  const failures = Array.from({ length: 30 }, (_, number) =>
    failuresOf(`203.${number}.113.7`, 1, colleagues.nowMs),
  ).flat();
  for (const [index, each] of failures.entries()) {
    await colleagues.take(batchOf("h1", index + 1, { failures: [each] }));
    await colleagues.settle();
  }
  assert.deepEqual(
    await colleagues.store.rows("select weight, count(*) as count from failures group by 1 order by 1"),
    [
      { weight: "fleet", count: 20 },
      { weight: "quarantined", count: 10 },
    ],
  );
  assert.deepEqual(await colleagues.store.rows("select state from hosts where host = 'h1'"), [
    { state: "quarantined" },
  ]);
});

test("turns at the same moment give every number once and leave none out", async () => {
  await using colleagues = await Colleagues.open(fleet, 3);
  const busy = Array.from({ length: 10 }, async (_, round) => {
    const arrived = hosts.map((host, index) =>
      batchOf(host, round + 1, { failures: failuresOf(`10${round}.${index}.2.1`, 3, colleagues.nowMs) }),
    );
    await Promise.all(arrived.map((each) => colleagues.take(each)));
    await Promise.all(colleagues.writers.map((writer) => commitBatches(writer, [], 100)));
  });
  await Promise.all(busy);
  await colleagues.settle();
  assert.deepEqual(await disorderIn(colleagues.store), []);
  assert.deepEqual(await colleagues.store.rows("select count(*) as count from bans"), [{ count: 120 }]);
});

test("what a coordinator that died had begun, the next owner of its partitions goes on with", async () => {
  await using colleagues = await Colleagues.open(fleet, 2);
  const [leader, other] = colleagues.writers;
  assert.ok(leader !== undefined && other !== undefined);
  const address = await addressOf(colleagues, other);
  await colleagues.take(batchOf("h1", 1, { failures: failuresOf(address, 1, colleagues.nowMs) }));
  await colleagues.settle();
  // Handed over, and nobody takes it any more.
  await colleagues.take(batchOf("h2", 1, { failures: failuresOf(address, 1, colleagues.nowMs) }));
  await colleagues.leave(other);
  await colleagues.shareOut();
  await colleagues.settle();
  await colleagues.take(batchOf("h3", 1, { failures: failuresOf(address, 1, colleagues.nowMs) }));
  assert.deepEqual(await colleagues.store.rows("select count(*) as count from bans"), [{ count: 1 }]);
  assert.deepEqual(await disorderIn(colleagues.store), []);
  assert.equal(leader.isShared(), false);
});

test("a coordinator whose partitions were given away in the middle of its turn keeps them until it has committed", async () => {
  await using colleagues = await Colleagues.open(fleet, 2);
  const [leader, other] = colleagues.writers;
  assert.ok(leader !== undefined && other !== undefined);
  const address = await addressOf(colleagues, other);
  const judge = async (writer: typeof leader, about: string) =>
    writer.turn(null, async (turn) => {
      const failure = { atMs: turn.nowMs, tenant: "default", host: "h1", jail: "sshd", address: about, count: 3 };
      return turn.apply({ kind: "failure", ...failure, admitted: true }).weight;
    });
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const inTurn = other.turn(null, async (turn) => {
    begun.resolve();
    await gate.promise;
    turn.apply({
      kind: "failure",
      atMs: turn.nowMs,
      tenant: "default",
      host: "h1",
      jail: "sshd",
      address,
      count: 3,
      admitted: true,
    });
  });
  await begun.promise;
  await colleagues.leave(other);
  const givingAway = colleagues.store.transaction((sql) => shareOut(sql, leader.coordinator));
  gate.resolve();
  await Promise.all([inTurn, givingAway]);
  // It is not dead, only believed so: what it does now is for others to judge.
  assert.equal((await judge(other, "203.0.113.7")).result, "elsewhere");
  assert.equal((await judge(leader, address)).result, "banned");
  assert.deepEqual(await colleagues.store.rows("select count(*) as count from bans"), [{ count: 1 }]);
});

test("the leader explains what another coordinator counts as that one would", async () => {
  await using colleagues = await Colleagues.open(wholeFleet, 2);
  const [leader, other] = colleagues.writers;
  assert.ok(leader !== undefined && other !== undefined);
  const address = await addressOf(colleagues, other);
  const allow = { kind: "allow", net: address, tenant: null, reason: "x", untilMs: null } as const;
  await addRule(leader, act, allow);
  for (const host of ["a1", "b1"]) {
    await colleagues.take(batchOf(host, 1, { failures: failuresOf(address, 2, colleagues.nowMs) }));
  }
  await colleagues.settle();
  await leader.turn(null, async () => undefined);
  const net = parseAddress(address) ?? assert.fail(address);
  const counted = await countedOf(colleagues.store, net, colleagues.nowMs);
  const asked = await leader.ask((judge, nowMs) => judge.explain(address, nowMs, counted));
  assert.deepEqual([...new Set(asked.windows.map(({ tenant }) => tenant))], ["a", "b"]);
  assert.deepEqual(asked, await other.ask((judge, nowMs) => judge.explain(address, nowMs)));
});
