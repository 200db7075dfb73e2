import assert from "node:assert/strict";
import { test } from "node:test";
import { insertApiToken } from "../../../server/store/tokens.ts";
import type { Program } from "../../support/program.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type Coordinators, openCoordinators } from "./coordinators.ts";

const failure = (index: number) => ({
  ...{ atMs: Date.now(), jail: "sshd", count: 1 },
  address: `2001:db8:${index.toString(16)}::1`,
});

/** Lets the hosts send one offender after the other until told to stop. */
function sendOn({ hosts }: Coordinators) {
  let isOver = false;
  let offenders = 0;
  const sending = (async () => {
    while (!isOver) {
      offenders += 1;
      const index = offenders;
      await Promise.all(hosts.map((host) => host.send([failure(index)])));
    }
  })();
  return {
    offenders: () => offenders,
    async stop(): Promise<void> {
      isOver = true;
      await sending;
    },
  };
}

function addressOf(program: Program): string {
  return /coordinator: (\S+)/.exec(program.stdout())?.[1] ?? assert.fail(program.stdout());
}

async function tokenFor({ store }: Coordinators): Promise<string> {
  const admin = { name: "anna", role: "admin", tenant: null, createdMs: Date.now(), untilMs: null } as const;
  return (await insertApiToken(store, admin)).token;
}

async function ask(program: Program, token: string, path: string, init: RequestInit = {}) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(`${addressOf(program)}${path}`, { ...init, headers });
  return { status: response.status, text: await response.text() };
}

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`one leads, one stands by, and after ${signal} of the first everything is counted and banned once`, async () => {
    await using fleet = await openCoordinators(3);
    const first = await fleet.start();
    const second = await fleet.start();
    assert.match(second.stdout(), /stands by/);
    const traffic = sendOn(fleet);
    await waitFor(() => traffic.offenders() > 5, "some traffic");
    first.signal(signal);
    await first.ended;
    const reached = traffic.offenders();
    await waitFor(() => traffic.offenders() > reached + 5, "the second to go on", 60_000);
    await traffic.stop();
    assert.deepEqual([await fleet.miscounted(), await fleet.disorder()], [[], []]);
    assert.deepEqual(await fleet.store.rows("select count(*) as count from bans"), [{ count: traffic.offenders() }]);
    assert.equal(second.ending(), undefined, second.stderr());
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
  await waitFor(() => traffic.offenders() > 5, "some traffic");
  frozen.signal("SIGSTOP");
  // As the database does by itself when it has not heard from a session, or in a transaction, for long.
  await fleet.store.rows(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and (state = 'idle in transaction'
       or pid in (select pid from pg_locks where locktype = 'advisory' and granted))`,
  );
  const reached = traffic.offenders();
  await waitFor(() => traffic.offenders() > reached + 5, "the second to go on", 60_000);
  frozen.signal("SIGCONT");
  assert.equal(await waitFor(() => frozen.ending() ?? undefined, "the first to end", 60_000), 1);
  assert.match(frozen.stderr(), /another coordinator has taken over/);
  await traffic.stop();
  assert.deepEqual([await fleet.miscounted(), await fleet.disorder()], [[], []]);
  assert.equal(second.ending(), undefined, second.stderr());
});
