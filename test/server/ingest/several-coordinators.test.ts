import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Program } from "../../support/program.ts";
import { waitFor } from "../../support/wait-for.ts";
import { openCoordinators } from "./coordinators.ts";
import { addressOf, ask, goOn, linesOf, sendOn, shared, tokenFor, wrongs } from "./coordinators-at-work.ts";

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`two share the work, and after ${signal} of the one that leads everything is counted and banned once`, async () => {
    await using fleet = await openCoordinators(3);
    const first = await fleet.start();
    const second = await fleet.start();
    assert.match(second.stdout(), /stands by/);
    await shared(fleet, [4, 4]);
    const traffic = sendOn(fleet);
    await goOn(traffic, "some traffic");
    first.signal(signal);
    await first.ended;
    await goOn(traffic, "the second to go on");
    await traffic.stop();
    assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
    assert.equal(second.ending(), undefined, second.stderr());
  });
}

test("three share the work, and whichever of those that do not lead ends, everything is counted and banned once", async () => {
  await using fleet = await openCoordinators(5);
  const leader = await fleet.start();
  const killed = await fleet.start();
  const frozen = await fleet.start();
  await shared(fleet, [3, 3, 2]);
  const traffic = sendOn(fleet);
  await waitFor(() => traffic.offenders() > 30, "some traffic", 60_000);
  const lines = await Promise.all([leader, killed, frozen].map(linesOf));
  const all = lines.reduce((sum, each) => sum + each, 0);
  for (const each of lines) assert.ok(each > all / 8, `shares of ${lines.join()} lines`);

  killed.signal("SIGKILL");
  await goOn(traffic, "the others to go on");
  await shared(fleet, [4, 4]);
  frozen.signal("SIGSTOP");
  // As the database does by itself when it has not heard from a session, or in a transaction, for long.
  await fleet.store.rows(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and (state = 'idle in transaction'
       or pid in (select pid from pg_locks where locktype = 'advisory' and granted and objid > 0 and classid = 73120043))`,
  );
  await shared(fleet, [8]);
  await goOn(traffic, "the leader to go on alone");
  frozen.signal("SIGCONT");
  // It finds that it owns nothing, and offers itself again.
  await shared(fleet, [4, 4]);
  await goOn(traffic, "both to go on");
  frozen.signal("SIGTERM");
  await frozen.ended;
  await goOn(traffic, "the leader to go on");
  await traffic.stop();
  assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
  assert.equal(leader.ending(), undefined, leader.stderr());
});

/** Stopped by a signal, as the kernel sees it. */
function isFrozen({ pid }: Program): boolean {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.startsWith("T") ?? false;
}

for (const point of ["worked", "written"]) {
  test(`one that is frozen in the middle of a transaction (${point}) keeps no admin waiting, and goes on when it wakes`, async () => {
    await using fleet = await openCoordinators(3);
    const leader = await fleet.start();
    const frozen = await fleet.start(`${point}:40`, { signal: "SIGSTOP" });
    await shared(fleet, [4, 4]);
    const traffic = sendOn(fleet);
    await waitFor(() => isFrozen(frozen), "it to freeze in a turn", 60_000);
    const token = await tokenFor(fleet);
    const body = JSON.stringify({ net: "192.0.2.7", scope: "tenant:default", bantime: "1h", reason: "by hand" });
    const begunMs = performance.now();
    const { status, text } = await ask(leader, token, "/api/v1/bans", { method: "POST", body });
    assert.equal(status, 201, text);
    assert.ok(performance.now() - begunMs < 10_000, "an admin waited for somebody who is frozen");
    assert.match(leader.stderr() + leader.stdout(), /ended_silent_turn/);
    frozen.signal("SIGCONT");
    await goOn(traffic, "both to go on");
    await traffic.stop();
    assert.deepEqual(await wrongs(fleet, traffic.offenders() + 1), []);
    assert.deepEqual([leader.ending(), frozen.ending()], [undefined, undefined]);
  });
}

test("one that stands by answers questions, and sends whoever changes something to the leader", async () => {
  await using fleet = await openCoordinators(1);
  const leader = await fleet.start();
  const standby = await fleet.start();
  const token = await tokenFor(fleet);
  const status = await ask(standby, token, "/api/v1/status");
  assert.equal(status.status, 200, status.text);
  const leads = new RegExp(`stands by; the one that leads is ${addressOf(leader)}`);
  assert.match(status.text, leads);
  assert.equal((await ask(standby, token, "/api/v1/hosts")).status, 200);
  const body = JSON.stringify({ net: "192.0.2.7", scope: "fleet", bantime: "1h", reason: "by hand" });
  const refused = await ask(standby, token, "/api/v1/bans", { method: "POST", body });
  assert.equal(refused.status, 503, refused.text);
  assert.match(refused.text, leads);
  assert.equal((await ask(leader, token, "/api/v1/bans", { method: "POST", body })).status, 201);
  assert.match((await ask(standby, token, "/api/v1/bans")).text, /192\.0\.2\.7/);
  leader.signal("SIGTERM");
  const again = async () => (await ask(standby, token, "/api/v1/bans", { method: "POST", body })).status === 201;
  await waitFor(again, "the other one to lead", 60_000);
});

test("a leader that froze until another one took over ends when it wakes, and has written nothing", async () => {
  await using fleet = await openCoordinators(3);
  const frozen = await fleet.start();
  const second = await fleet.start();
  const traffic = sendOn(fleet);
  await shared(fleet, [4, 4]);
  await goOn(traffic, "some traffic");
  frozen.signal("SIGSTOP");
  // As the database does by itself when it has not heard from a session, or in a transaction, for long.
  await fleet.store.rows(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and (state = 'idle in transaction'
       or pid in (select pid from pg_locks where locktype = 'advisory' and granted))`,
  );
  await goOn(traffic, "the second to go on");
  frozen.signal("SIGCONT");
  assert.equal(await waitFor(() => frozen.ending() ?? undefined, "the first to end", 60_000), 1);
  assert.match(frozen.stderr(), /another coordinator has taken over/);
  await traffic.stop();
  assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
  assert.equal(second.ending(), undefined, second.stderr());
});
