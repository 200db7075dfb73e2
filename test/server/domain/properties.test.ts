import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createJudge } from "../../../server/domain/create-judge.ts";
import type { Decision, FailureFact } from "../../../server/domain/judge.ts";
import { overlaps, parseNet } from "../../../shared/address.ts";
import { arbitraryFacts, smallPolicy } from "./arbitrary-facts.ts";
import { defaultPolicy, hour, start } from "./story.ts";

const netOf = (text: string) => parseNet(text) ?? assert.fail(text);

test("no sequence of facts bans a never-listed or reserved address, or anything wider than the widest ban", () => {
  fc.assert(
    fc.property(arbitraryFacts, (facts) => {
      const judge = createJudge(smallPolicy);
      const nevers = new Set<string>();
      const standing = new Map<number, string>();
      for (const { fact, nowMs } of facts) {
        const { decisions } = judge.apply(fact, nowMs);
        if (fact.kind === "never" && fact.add) nevers.add(fact.net);
        if (fact.kind === "never" && !fact.add) nevers.delete(fact.net);
        for (const decision of decisions) {
          if (decision.kind === "ban") standing.set(decision.id, decision.net);
          if (decision.kind === "unban") standing.delete(decision.id);
        }
        for (const text of standing.values()) {
          const net = netOf(text);
          assert.ok(net.prefix >= smallPolicy.limits.widestBan[net.family], text);
          for (const never of nevers) assert.ok(!overlaps(net, netOf(never)), `${text} shares addresses with ${never}`);
          for (const reserved of smallPolicy.reserved) assert.ok(!overlaps(net, reserved), text);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("every unban ends a ban that stands, every ban is numbered once, and the clock never goes back", () => {
  fc.assert(
    fc.property(arbitraryFacts, (facts) => {
      const judge = createJudge(smallPolicy);
      const standing = new Set<number>();
      let lastId = 0;
      let lastMs = 0;
      for (const { fact, nowMs } of facts) {
        for (const decision of judge.apply(fact, nowMs).decisions) {
          assert.ok(decision.atMs >= lastMs && decision.atMs <= nowMs);
          lastMs = decision.atMs;
          if (decision.kind === "ban") {
            assert.ok(decision.id > lastId);
            lastId = decision.id;
            standing.add(decision.id);
          }
          if (decision.kind === "unban") assert.ok(standing.delete(decision.id));
        }
      }
      assert.equal(judge.size().standing, standing.size);
    }),
    { numRuns: 200 },
  );
});

const oneSubject = fc.array(
  fc.record({
    atMs: fc.integer({ min: 0, max: 3 * hour }).map((second) => (start + second) * 1000),
    host: fc.constantFrom("h1", "h2", "h3", "h4", "h5", "h6"),
    jail: fc.constantFrom("sshd", "nginx", "dovecot"),
    count: fc.integer({ min: 1, max: 2 }),
  }),
  { maxLength: 12 },
);
type Row = Readonly<{ atMs: number; host: string; jail: string; count: number }>;
const factOf = (row: Row): FailureFact => ({ kind: "failure", tenant: "default", address: "192.0.2.1", ...row });

/** Whether some window of the design is full, found by brute force. */
function anyWindowFull(rows: readonly Row[]): boolean {
  const within = (row: Row, spanMs: number) =>
    rows.filter((each) => each.atMs >= row.atMs && each.atMs - row.atMs <= spanMs);
  return rows.some((row) => {
    const inJail = within(row, hour * 1000).filter((each) => each.jail === row.jail);
    const hosts = new Set(within(row, 24 * hour * 1000).map((each) => each.host));
    return inJail.reduce((sum, each) => sum + each.count, 0) >= 3 || hosts.size >= 5;
  });
}

test("however late, split or shuffled a delivery is, the same failures make the same incident", () => {
  fc.assert(
    fc.property(
      oneSubject.chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length }))),
      ([rows, shuffled]) => {
        const nowMs = (start + 3 * hour) * 1000;
        const judge = createJudge(defaultPolicy);
        const bans = shuffled.flatMap((row) => judge.apply(factOf(row), nowMs).decisions);
        assert.equal(bans.length, anyWindowFull(rows) ? 1 : 0);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a batch sent in parts is the batch", () => {
  fc.assert(
    fc.property(oneSubject, (rows) => {
      const timely = rows.toSorted((one, other) => one.atMs - other.atMs);
      const split = timely.flatMap((row) => Array.from({ length: row.count }, () => ({ ...row, count: 1 })));
      const decide = (parts: readonly Row[]): Decision[] => {
        const judge = createJudge(defaultPolicy);
        return parts.flatMap((row) => [...judge.apply(factOf(row), (start + 3 * hour) * 1000).decisions]);
      };
      const nets = (decisions: readonly Decision[]) => decisions.map(({ kind, atMs }) => [kind, atMs]);
      assert.deepEqual(nets(decide(split)), nets(decide(timely)));
    }),
    { numRuns: 500 },
  );
});
