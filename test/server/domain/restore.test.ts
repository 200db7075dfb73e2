import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createJudge } from "../../../server/domain/create-judge.ts";
import type { Fact } from "../../../server/domain/judge.ts";
import { parsePolicy } from "../../../server/domain/policy.ts";
import { addresses, arbitraryFacts, smallPolicy } from "./arbitrary-facts.ts";
import { Ledger } from "./ledger.ts";
import { defaultPolicy, start } from "./story.ts";

test("a judge rebuilt from the database decides as the uninterrupted one, wherever it was cut", () => {
  fc.assert(
    fc.property(arbitraryFacts, fc.nat(), (facts, where) => {
      const judge = createJudge(smallPolicy);
      const ledger = new Ledger();
      const cut = where % (facts.length + 1);
      let nowMs = start * 1000;
      for (const { fact, nowMs: atMs } of facts.slice(0, cut)) {
        nowMs = atMs;
        ledger.record(fact, atMs, judge.apply(fact, atMs));
      }
      const rebuilt = createJudge(smallPolicy, { memory: ledger.memory(), nowMs });
      for (const { fact, nowMs: atMs } of facts.slice(cut)) {
        assert.deepEqual(rebuilt.apply(fact, atMs), judge.apply(fact, atMs));
        nowMs = atMs;
      }
      for (const address of addresses) {
        assert.deepEqual(rebuilt.explain(address, nowMs), judge.explain(address, nowMs));
      }
      assert.deepEqual(rebuilt.held(), judge.held());
    }),
    { numRuns: 400 },
  );
});

test("ban numbers go on after the greatest ever given, though its ban is forgotten", () => {
  const memory = { ...new Ledger().memory(), lastBanId: 41 };
  const judge = createJudge(defaultPolicy, { memory, nowMs: 0 });
  const ban: Fact = { kind: "ban", net: "192.0.2.1", scope: "fleet", banTimeMs: 1000, ports: null };
  const [decision] = judge.apply(ban, 0).decisions;
  assert.equal(decision?.kind === "ban" && decision.id, 42);
});

test("a ban that ended while the coordinator was down expires at its own time", () => {
  const judge = createJudge(parsePolicy(null, "p"));
  const ledger = new Ledger();
  const ban: Fact = { kind: "ban", net: "192.0.2.1", scope: "fleet", banTimeMs: 1000, ports: null };
  ledger.record(ban, 0, judge.apply(ban, 0));
  const rebuilt = createJudge(defaultPolicy, { memory: ledger.memory(), nowMs: 60_000 });
  const [decision] = rebuilt.apply({ kind: "tick" }, 60_000).decisions;
  assert.deepEqual(decision, {
    kind: "unban",
    id: 1,
    atMs: 1000,
    net: "192.0.2.1/32",
    scope: "fleet",
    reason: "expired",
  });
});
