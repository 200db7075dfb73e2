import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { pino } from "pino";
import { freeTheWay } from "../../../server/jobs/free-the-way.ts";
import { copyIn } from "../../../server/store/copy-in.ts";
import { openStore } from "../../../server/store/open-store.ts";
import { takeEverything } from "../../../server/store/shares.ts";
import { silentSessions } from "../../../server/store/silent-sessions.ts";
import { secondMs } from "../../../shared/durations.ts";
import { freshDatabaseUrl } from "../../support/database.ts";
import { waitFor } from "../../support/wait-for.ts";

const log = pino({ level: "silent" });

type Last = (session: pg.Client) => Promise<unknown>;
const statement: Last = (session) => session.query("select 1");
/** A copy whose data does not come. */
const copy: Last = async (session) => {
  const parts = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
  await copyIn(session as unknown as pg.PoolClient, "copy handed_failures (partition, failures) from stdin", parts);
};

/** A store, a session of a coordinator that says no more after `last`, and one that waits for it. */
async function opened(last: Last, name = "fleet2ban") {
  const url = await freshDatabaseUrl();
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openStore({ url, log }));
  await takeEverything(store, 1);
  const session = new pg.Client({ connectionString: url, application_name: name });
  session.on("error", () => undefined);
  await session.connect();
  stack.defer(() => session.end().catch(() => undefined));
  await session.query("begin");
  await session.query("select from partitions for share");
  last(session).catch(() => undefined);
  const waiting = store.transaction((sql) => sql.rows("select from partitions for update"));
  // Whatever becomes of it is looked at below, or it ends with the store.
  waiting.catch(() => undefined);
  stack.defer(async () => void (await waiting.catch(() => undefined)));
  stack.defer(() => session.end().catch(() => undefined));
  const closing = stack.move();
  return { store, session, waiting, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

for (const [where, last] of [
  ["between two statements", statement],
  ["in the middle of a copy", copy],
] as const) {
  test(`a coordinator that is silent ${where} for three seconds, while others wait for it, loses its turn`, async () => {
    await using arena = await opened(last);
    const look = freeTheWay(arena.store, log);
    await waitFor(async () => (await silentSessions(arena.store)).length === 1, "a silent session");
    let isOver = false;
    void arena.waiting.then(() => {
      isOver = true;
    });
    for (const nowMs of [0, secondMs, 3 * secondMs - 1]) await look(nowMs);
    assert.equal((await silentSessions(arena.store)).length, 1, "too early");
    assert.equal(isOver, false);
    await look(3 * secondMs);
    await arena.waiting;
    assert.deepEqual(await silentSessions(arena.store), []);
  });
}

test("whoever says anything in between keeps his turn, however long others wait", async () => {
  await using arena = await opened(statement);
  const look = freeTheWay(arena.store, log);
  for (let second = 0; second < 10; second += 1) {
    await look(second * secondMs);
    await arena.session.query("select 1");
  }
  await arena.session.query("commit");
  await arena.waiting;
});

test("a session that is not a coordinator's is nobody's to end", async () => {
  await using arena = await opened(statement, "psql");
  const look = freeTheWay(arena.store, log);
  for (const nowMs of [0, 5 * secondMs, 10 * secondMs]) await look(nowMs);
  await arena.session.query("commit");
  await arena.waiting;
});
