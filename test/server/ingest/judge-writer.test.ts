import assert from "node:assert/strict";
import { test } from "node:test";
import { addRule, banByHand } from "../../../server/ingest/admin-acts.ts";
import { commitBatches, type IngestResult } from "../../../server/ingest/commit-batches.ts";
import type { Commit, JudgeWriter } from "../../../server/ingest/judge-writer.ts";
import { tick } from "../../../server/ingest/tick.ts";
import type { Cursors } from "../../../server/store/cursors.ts";
import { revisionOf } from "../../../server/store/orders.ts";
import { minuteMs } from "../../../shared/durations.ts";
import { Fleet2banError } from "../../../shared/errors.ts";
import { waitFor } from "../../support/wait-for.ts";
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

/** The first turn of a day makes tables, and others wait for those. */
async function openWarmArena(): Promise<Arena> {
  const arena = await openArena();
  await commitBatches(arena.writer, [batchOf("h1", 1, { epoch: "before" })]);
  arena.commits.length = 0;
  return arena;
}

/** A turn that has told the judge everything and is not committed until it is told to; then it fails, or does not. */
function heldTurn({ writer }: Arena, batch: ReturnType<typeof batchOf>) {
  const going = Promise.withResolvers<void>();
  const seen = { told: false, letOn: false };
  const held: JudgeWriter = {
    ...writer,
    overlap: (work) =>
      writer.overlap((turn) => {
        const hold = async (moved: Cursors): Promise<void> => {
          seen.told = true;
          await turn.judged(moved);
          seen.letOn = true;
          await going.promise;
        };
        return work({ ...turn, judged: hold });
      }),
  };
  const done = commitBatches(held, [batch]);
  done.catch(() => undefined);
  return {
    done,
    told: () => waitFor(() => seen.told, "the judge to be told"),
    letOn: () => waitFor(() => seen.letOn, "the next turn to be let on"),
    goOn: going.resolve,
    fail: going.reject,
    [Symbol.dispose]: going.resolve,
  };
}

const kindsOf = (commit: Commit) => commit.decisions.map((each) => each.kind);
const resultsOf = ({ acknowledge }: IngestResult) => acknowledge.map(({ host, result }) => `${host} ${result}`);

async function sumOf(arena: Arena): Promise<number | null | undefined> {
  const rows = await arena.store.rows<{ sum: number | null }>("select sum(count)::bigint as sum from failures");
  return rows[0]?.sum;
}

test("a turn is judged while the one before is written, and knows what that one counted", async () => {
  await using arena = await openWarmArena();
  using before = heldTurn(arena, batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) }));
  await before.letOn();
  using after = heldTurn(arena, batchOf("h2", 1, { failures: failuresOf(attacker, 1, startMs) }));
  after.goOn();
  await after.told();
  assert.equal(await sumOf(arena), null);
  before.goOn();
  assert.deepEqual(kindsOf((await before.done).commit), []);
  assert.deepEqual(kindsOf((await after.done).commit), ["ban"]);
  assert.equal(await sumOf(arena), 3);
});

test("a batch that is in a turn not yet committed is a duplicate for the next turn", async () => {
  await using arena = await openWarmArena();
  const batch = batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) });
  using before = heldTurn(arena, batch);
  await before.letOn();
  using after = heldTurn(arena, batch);
  after.goOn();
  await after.told();
  before.goOn();
  assert.deepEqual(resultsOf(await after.done), ["h1 duplicate"]);
  await before.done;
  assert.equal(await sumOf(arena), 2);
});

test("when a turn fails while the next one is judged, both count exactly once in the end", async () => {
  await using arena = await openWarmArena();
  const first = batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) });
  const second = batchOf("h2", 1, { failures: failuresOf(attacker, 1, startMs) });
  using before = heldTurn(arena, first);
  await before.letOn();
  using after = heldTurn(arena, second);
  after.goOn();
  await after.told();
  before.fail(new Error("pulled the plug"));
  await assert.rejects(before.done, /pulled the plug/);
  const taken = await after.done;
  assert.deepEqual([resultsOf(taken), kindsOf(taken.commit)], [["h2 counted"], []]);
  assert.equal(await sumOf(arena), 1);
  const again = await commitBatches(arena.writer, [first, second]);
  assert.deepEqual([resultsOf(again), kindsOf(again.commit)], [["h1 counted", "h2 duplicate"], ["ban"]]);
  assert.equal(await sumOf(arena), 3);
});

test("when a commit's answer gets lost while the next turn is judged, both count once and orders are told once", async () => {
  await using arena = await openWarmArena();
  const first = batchOf("h1", 1, { failures: failuresOf(attacker, 3, startMs) });
  using before = heldTurn(arena, first);
  await before.letOn();
  arena.faultAt = "committed";
  using after = heldTurn(arena, batchOf("h2", 1, { failures: failuresOf("198.51.100.9", 3, startMs) }));
  after.goOn();
  await after.told();
  before.goOn();
  await assert.rejects(before.done, /pulled the plug/);
  assert.deepEqual(resultsOf(await after.done), ["h2 counted"]);
  assert.deepEqual(resultsOf(await commitBatches(arena.writer, [first])), ["h1 duplicate"]);
  assert.equal(await sumOf(arena), 6);
  const told = toldOf(arena, "fleet").map(({ revision, order }) => `${revision} ${order.kind}`);
  assert.deepEqual(told, ["1 ban", "2 ban"]);
});

test("what a person asks for waits until the turn before is committed", async () => {
  await using arena = await openWarmArena();
  using before = heldTurn(arena, batchOf("h1", 1, { failures: failuresOf(attacker, 2, startMs) }));
  await before.letOn();
  const answered: string[] = [];
  const note = (what: string) => () => answered.push(what);
  const act = { by: "anna", note: null };
  const request = { net: "203.0.113.5", scope: "fleet", banTimeMs: null, ports: null } as const;
  const asked = Promise.all([
    arena.writer.ask((judge) => judge.size()).then(note("question")),
    banByHand(arena.writer, act, request).then(note("ban")),
  ]);
  // The database is asked meanwhile, and answers.
  assert.equal(await sumOf(arena), null);
  assert.deepEqual(answered, []);
  before.goOn();
  await before.done.then(note("turn"));
  await asked;
  assert.deepEqual(answered, ["turn", "question", "ban"]);
});
