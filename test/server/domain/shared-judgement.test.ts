import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createJudge } from "../../../server/domain/create-judge.ts";
import type { Decision, Fact, Judge, Memory } from "../../../server/domain/judge.ts";
import { partitionCount, partitionOf, partitionOfHost } from "../../../server/domain/partition.ts";
import { parsePolicy } from "../../../server/domain/policy.ts";
import { addressBits, type Net, parseNet, subjectOf, widen } from "../../../shared/address.ts";
import { addresses, arbitraryFacts, smallPolicy } from "./arbitrary-facts.ts";

const nothing: Memory = {
  ...{ tenants: [], allows: [], nevers: [], quarantines: [], bans: [], failures: [], settled: [], held: [] },
  lastBanId: 0,
};

/** Judges that share the partitions as coordinators do, one fact at a time. */
class Colleagues {
  readonly #owners: readonly number[];
  readonly #judges: readonly Judge[];
  #lastId = 0;

  /** @param owners  by partition, the number of its judge */
  constructor(owners: readonly number[]) {
    this.#owners = owners;
    this.#judges = [...new Set(owners)].map((owner) => {
      const share = new Set(owners.flatMap((each, partition) => (each === owner ? [partition] : [])));
      return createJudge(smallPolicy, { memory: nothing, nowMs: Number.NEGATIVE_INFINITY, share });
    });
  }

  get judges(): readonly Judge[] {
    return this.#judges;
  }

  apply(fact: Fact, nowMs: number): readonly Decision[] {
    const ended = this.#judges.flatMap((judge) => this.#turn(judge, { kind: "tick" }, nowMs).decisions);
    const byEnd = ended.toSorted((one, other) => one.atMs - other.atMs || idOf(one) - idOf(other));
    if (fact.kind === "tick") return byEnd;
    if (fact.kind !== "failure")
      return [...byEnd, ...this.#turn(this.#judges[0] ?? assert.fail(), fact, nowMs).decisions];
    const taken = this.#turn(this.#ownerOf(partitionOfHost(fact.host)), fact, nowMs);
    if (taken.weight !== "elsewhere") return [...byEnd, ...taken.decisions];
    const partition = taken.judge.partitionOf(fact.address) ?? assert.fail();
    const counted = this.#turn(this.#ownerOf(partition), { ...fact, admitted: true }, nowMs);
    assert.notEqual(counted.weight, "elsewhere");
    return [...byEnd, ...taken.decisions, ...counted.decisions];
  }

  #turn(judge: Judge, fact: Fact, nowMs: number) {
    judge.begin();
    const { decisions, weight } = judge.apply(fact, nowMs);
    judge.renumber(this.#lastId);
    for (const decision of decisions) if (decision.kind === "ban") this.#lastId = decision.id;
    const isForAll = fact.kind !== "failure" && fact.kind !== "tick";
    for (const other of this.#judges) {
      if (other !== judge) other.follow({ atMs: nowMs, facts: isForAll ? [fact] : [], decisions });
    }
    return { decisions, weight, judge };
  }

  #ownerOf(partition: number): Judge {
    const names = [...new Set(this.#owners)];
    return this.#judges[names.indexOf(this.#owners[partition] ?? -1)] ?? assert.fail();
  }
}

const idOf = (decision: Decision): number => ("id" in decision ? decision.id : 0);
const arbitraryOwners = fc.array(fc.integer({ min: 0, max: 2 }), {
  minLength: partitionCount,
  maxLength: partitionCount,
});

test("judges that share the work decide what one alone would have decided, in the same order", () => {
  fc.assert(
    fc.property(arbitraryFacts, arbitraryOwners, (facts, owners) => {
      const alone = createJudge(smallPolicy);
      const colleagues = new Colleagues(owners);
      for (const { fact, nowMs } of facts) {
        assert.deepEqual(colleagues.apply(fact, nowMs), alone.apply(fact, nowMs).decisions);
      }
      const nowMs = facts.at(-1)?.nowMs ?? 0;
      for (const judge of colleagues.judges) {
        assert.deepEqual(judge.held(), alone.held());
        assert.equal(judge.size().standing, alone.size().standing);
        for (const address of addresses) {
          const mine = judge.explain(address, nowMs);
          const whole = alone.explain(address, nowMs);
          if (judge.owns(address)) assert.deepEqual(mine, whole);
          else assert.deepEqual(mine.bans, whole.bans);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("turns at once are numbered one after the other, and an unban still names its ban", () => {
  const share = (...partitions: number[]) => ({ memory: nothing, nowMs: 0, share: new Set(partitions) });
  const judge = createJudge(smallPolicy, share(0, 1, 2, 3, 4, 5, 6, 7));
  const nowMs = 1_000_000_000;
  assert.equal(judge.begin(), 0);
  const ban = { kind: "ban", net: "192.0.2.1", scope: "fleet", banTimeMs: 60_000, ports: null } as const;
  assert.deepEqual(judge.apply(ban, nowMs).decisions.map(idOf), [1]);
  // Another coordinator has given 1 to 7 meanwhile.
  judge.renumber(7);
  assert.equal(judge.begin(), 8);
  assert.deepEqual(judge.apply({ kind: "tick" }, nowMs + 60_000).decisions.map(idOf), [8]);
});

const arbitraryPolicy = fc
  .record({
    ipv4: fc.integer({ min: 8, max: 31 }),
    ipv6Prefix: fc.integer({ min: 33, max: 128 }),
    below: fc.integer({ min: 1, max: 16 }),
  })
  .map(({ ipv4, ipv6Prefix, below }) =>
    parsePolicy(
      {
        ipv6Prefix,
        networks: { ipv4: { prefix: ipv4 }, ipv6: { prefix: ipv6Prefix - below } },
        limits: { widestBan: { ipv4: 8, ipv6: 16 } },
      },
      "a policy",
    ),
  );
const arbitraryAddress: fc.Arbitrary<Net> = fc.oneof(
  fc.nat(0xffff_ffff).map((value): Net => ({ family: 4, value, prefix: 32 })),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value): Net => ({ family: 6, value, prefix: 128 })),
);

test("whatever the policy, all that may be banned together as one network is in one partition", () => {
  fc.assert(
    fc.property(arbitraryPolicy, arbitraryAddress, fc.nat(), (policy, address, seed) => {
      const { prefix } = policy.networks[address.family] ?? assert.fail();
      const network = widen(address, prefix);
      const hostBits = addressBits[address.family] - prefix;
      const other: Net =
        network.family === 4
          ? { family: 4, value: (network.value + (seed % 2 ** hostBits)) >>> 0, prefix: 32 }
          : { family: 6, value: network.value + (BigInt(seed) % (1n << BigInt(hostBits))), prefix: 128 };
      const partition = partitionOf(subjectOf(address, policy.ipv6Prefix), policy);
      assert.ok(partition >= 0 && partition < partitionCount);
      assert.equal(partitionOf(subjectOf(other, policy.ipv6Prefix), policy), partition);
      assert.equal(partitionOf(network, policy), partition);
    }),
  );
});

test("neighbouring networks and hosts named by number are spread evenly", () => {
  const spread = (partitions: readonly number[]) => {
    const counts = Array.from({ length: partitionCount }, (_, number) => partitions.filter((each) => each === number));
    return counts.map((each) => each.length / partitions.length);
  };
  const policy = parsePolicy(null, "default");
  const numbers = Array.from({ length: 4096 }, (_, number) => number);
  const netOf = (text: string) => parseNet(text) ?? assert.fail(text);
  for (const shares of [
    spread(numbers.map((number) => partitionOf(netOf(`192.${number >> 8}.${number & 255}.7`), policy))),
    spread(numbers.map((number) => partitionOf(netOf(`2001:db8:${number.toString(16)}::/64`), policy))),
    spread(numbers.map((number) => partitionOfHost(`host${number}`))),
  ]) {
    for (const share of shares) assert.ok(Math.abs(share - 1 / partitionCount) < 0.03, shares.join(" "));
  }
});
