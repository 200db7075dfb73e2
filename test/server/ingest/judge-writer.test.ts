import assert from "node:assert/strict";
import { test } from "node:test";
import { addRule, banByHand } from "../../../server/ingest/admin-acts.ts";
import { commitBatches } from "../../../server/ingest/commit-batches.ts";
import type { JudgeWriter } from "../../../server/ingest/judge-writer.ts";
import { tick } from "../../../server/ingest/tick.ts";
import { revisionOf } from "../../../server/store/orders.ts";
import { minuteMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { type Arena, attacker, batchOf, failuresOf, openArena, startMs, toldOf } from "./arena.ts";

/** Everything a judge would tell an admin about these addresses. */
function stateOf(writer: JudgeWriter, addresses: readonly string[]) {
  return writer.ask((judge, nowMs) => ({
    size: judge.size(),
    held: judge.held(),
    explanations: addresses.map((address) => judge.explain(address, nowMs)),
  }));
}

/** A morning with all that is remembered: windows half full, votes, bans standing, ended and by hand, allows. */
async function liveThrough(arena: Arena): Promise<string[]> {
  const { writer } = arena;
  const addresses = [attacker, "192.0.2.2", "198.51.100.7", "2001:db8:1:2::3", "203.0.113.5"];
  await commitBatches(writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  arena.nowMs += 90 * minuteMs;
  await tick(writer);
  await commitBatches(writer, [
    batchOf("h1", 2, {
      failures: [...failuresOf(attacker, 2, arena.nowMs), ...failuresOf("192.0.2.2", 1, arena.nowMs)],
    }),
    batchOf("a1", 1, { failures: failuresOf("198.51.100.7", 3, arena.nowMs) }),
    batchOf("b1", 1, {
      failures: [...failuresOf("198.51.100.7", 3, arena.nowMs), ...failuresOf("2001:db8:1:2::3", 2, arena.nowMs)],
    }),
  ]);
  const act = { by: "anna", note: "seen in the news" };
  await banByHand(writer, act, { net: "203.0.113.5", scope: "fleet", banTimeMs: null, ports: [22] });
  await addRule(writer, act, { kind: "allow", net: "192.0.2.128/25", tenant: "a", reason: "office", untilMs: null });
  return addresses;
}

const tenants = { default: ["h1", "h2"], a: ["a1"], b: ["b1"] };

test("a judge rebuilt from the database says what the old one said", async () => {
  await using arena = await openArena(tenants);
  const addresses = await liveThrough(arena);
  const before = await stateOf(arena.writer, addresses);
  assert.ok(before.size.standing >= 2 && before.size.subjects >= 3);
  const rebuilt = await arena.another();
  assert.deepEqual(await stateOf(rebuilt, addresses), before);
});

for (const point of ["begun", "worked", "written"] as const) {
  test(`a turn that breaks when it has ${point} leaves nothing, and the same batch then counts once`, async () => {
    await using arena = await openArena();
    await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) })]);
    const last = batchOf("h2", 1, { failures: failuresOf(attacker, 1, startMs) });
    arena.faultAt = point;
    await assert.rejects(commitBatches(arena.writer, [last]), /pulled the plug/);
    assert.deepEqual(toldOf(arena, "fleet"), []);
    assert.deepEqual(await arena.store.rows("select count(*) as count from bans"), [{ count: 0 }]);
    const { acknowledge, commit } = await commitBatches(arena.writer, [last]);
    assert.deepEqual(
      acknowledge.map((each) => each.result),
      ["counted"],
    );
    assert.deepEqual(
      commit.decisions.map((each) => each.kind),
      ["ban"],
    );
    assert.deepEqual(
      toldOf(arena, "fleet").map((each) => each.revision),
      [1],
    );
  });
}

test("when the commit's answer gets lost, the batch is a duplicate and its orders are still told once", async () => {
  await using arena = await openArena();
  const batch = batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) });
  arena.faultAt = "committed";
  await assert.rejects(commitBatches(arena.writer, [batch]), /pulled the plug/);
  assert.deepEqual(toldOf(arena, "fleet"), []);
  const again = await commitBatches(arena.writer, [batch]);
  assert.deepEqual(
    again.acknowledge.map((each) => each.result),
    ["duplicate"],
  );
  assert.deepEqual(again.commit.decisions, []);
  assert.deepEqual(
    toldOf(arena, "fleet").map(({ revision, order }) => [revision, order.kind]),
    [[1, "ban"]],
  );
});

test("a broken turn in the middle of a morning changes nothing that the judge says", async () => {
  await using arena = await openArena(tenants);
  const addresses = await liveThrough(arena);
  const before = await stateOf(arena.writer, addresses);
  arena.faultAt = "written";
  const more = addresses.flatMap((address) => failuresOf(address, 3, arena.nowMs));
  await assert.rejects(commitBatches(arena.writer, [batchOf("h2", 1, { failures: more })]));
  assert.deepEqual(await stateOf(arena.writer, addresses), before);
});

test("a connection that dies in the middle of a turn leaves nothing and hurts nobody after", async () => {
  await using arena = await openArena();
  const batch = batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) });
  const broken = arena.writer.turn(null, async (turn) => {
    turn.apply({
      kind: "failure",
      atMs: startMs,
      tenant: "default",
      host: "h1",
      jail: "sshd",
      address: attacker,
      count: 3,
    });
    const [own] = await turn.sql.rows<{ pid: number }>("select pg_backend_pid() as pid");
    await arena.store.rows("select pg_terminate_backend($1, 5000)", [own?.pid]);
  });
  await assert.rejects(broken, (error) => error instanceof Fleet2banError && error.code === "unavailable");
  const { commit } = await commitBatches(arena.writer, [batch]);
  assert.deepEqual(
    commit.decisions.map((each) => each.kind),
    ["ban"],
  );
  assert.equal(await revisionOf(arena.store, "fleet"), 1);
});

test("a coordinator that was replaced cannot write any more", async () => {
  await using arena = await openArena();
  const successor = await arena.another();
  const batch = batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) });
  await assert.rejects(
    commitBatches(arena.writer, [batch]),
    (error) => error instanceof Fleet2banError && /another coordinator has taken over/.test(error.message),
  );
  assert.deepEqual(await arena.store.rows("select count(*) as count from failures"), [{ count: 0 }]);
  const { commit } = await commitBatches(successor, [batch]);
  assert.equal(commit.decisions.length, 1);
});

test("turns asked for at once run one after the other", async () => {
  await using arena = await openArena();
  const turns = Array.from({ length: 8 }, (_, index) =>
    commitBatches(arena.writer, [batchOf("h1", index + 1, { failures: failuresOf(`198.51.${index}.1`, 3, startMs) })]),
  );
  const results = await Promise.all(turns);
  assert.deepEqual(
    results.flatMap((each) => each.acknowledge).map((each) => each.result),
    Array(8).fill("counted"),
  );
  assert.deepEqual(
    toldOf(arena, "fleet").map((each) => each.revision),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

test("bans and allows end by the tick at their own time", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) })]);
  const act = { by: "anna", note: null };
  const untilMs = startMs + 10 * minuteMs;
  await addRule(arena.writer, act, { kind: "allow", net: "203.0.113.0/24", tenant: null, reason: "visit", untilMs });
  arena.nowMs = startMs + 60 * minuteMs - 1;
  await tick(arena.writer);
  arena.nowMs += 1;
  const { decisions } = await tick(arena.writer);
  assert.deepEqual(
    decisions.map((each) => [each.kind, each.atMs]),
    [["unban", startMs + 60 * minuteMs]],
  );
  assert.deepEqual(
    toldOf(arena, "fleet").map(({ order }) => order.kind),
    ["ban", "allow", "disallow", "unban"],
  );
  const ended = await arena.store.rows("select ended_ms, end_reason, ended_by, end_revision from bans");
  assert.deepEqual(ended, [
    { ended_ms: startMs + 60 * minuteMs, end_reason: "expired", ended_by: null, end_revision: 4 },
  ]);
});

test("a clock that steps back does not take time back", async () => {
  await using arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { failures: failuresOf(attacker, 1, startMs) })]);
  arena.nowMs = startMs - 60 * minuteMs;
  const { commit } = await commitBatches(arena.writer, [
    batchOf("h1", 2, { failures: failuresOf(attacker, 2, startMs) }),
  ]);
  assert.deepEqual([commit.atMs, commit.decisions.length], [startMs, 1]);
});
