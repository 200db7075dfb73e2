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

const small = parsePolicy({ limits: { agent: { subjectsPerMinute: 2, subjectsPerDay: 2 } } }, "p");
const oneFailure = { tenant: "default", host: "h1", jail: "sshd", count: 1 };

test("a lifted quarantine stays lifted after a restart: the flood before it no longer counts", () => {
  const flood = ["192.0.2.1", "192.0.2.2"].map((net) => ({ ...oneFailure, weight: "fleet" as const, atMs: 1000, net }));
  const again = (liftedAtMs: number | null) => {
    const quarantines = [{ tenant: "default", host: "h1", on: false, liftedAtMs }];
    const judge = createJudge(small, {
      memory: { ...new Ledger().memory(), quarantines, failures: flood },
      nowMs: 3000,
    });
    return judge.apply({ ...oneFailure, kind: "failure", atMs: 3000, address: "192.0.2.3" }, 3000).weight;
  };
  assert.deepEqual([again(2000), again(null)], ["fleet", "quarantined"]);
});

test("failures under a fleet allow lend no vote after a restart either", () => {
  const tenants = [{ kind: "tenant", tenant: "a", trust: "vote", createdAtMs: Number.NEGATIVE_INFINITY } as const];
  const votes = (weight: "fleet" | "tenant") => {
    const failures = [{ ...oneFailure, tenant: "a", count: 2, weight, atMs: 1000, net: "192.0.2.1" }];
    const judge = createJudge(defaultPolicy, { memory: { ...new Ledger().memory(), tenants, failures }, nowMs: 2000 });
    const fact = { ...oneFailure, kind: "failure", tenant: "a", atMs: 2000, address: "192.0.2.1" } as const;
    return judge.apply(fact, 2000).decisions.map((decision) => decision.kind === "ban" && decision.vote);
  };
  assert.deepEqual([votes("fleet"), votes("tenant")], [[true], [false]]);
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
