import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { openStore } from "../../../server/store/open-store.ts";
import { waitFor } from "../../support/wait-for.ts";
import { openCoordinators } from "./coordinators.ts";
import { goOn, sendOn, shared, wrongs } from "./coordinators-at-work.ts";

/** A way to the bus that can be cut. */
async function openWay(url: string) {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `${target.protocol}//127.0.0.1:${address.port}`,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("a leader that has lost the bus, when another coordinator has it, ends so that the other one leads", async () => {
  await using fleet = await openCoordinators(3);
  await using way = await openWay(fleet.nats.address.url);
  const cutOff = await fleet.start(undefined, { natsUrl: way.url });
  const other = await fleet.start();
  await shared(fleet, [4, 4]);
  const traffic = sendOn(fleet);
  await goOn(traffic, "some traffic");
  way.cut();
  assert.equal(await waitFor(() => cutOff.ending(), "the leader to end", 60_000), 1);
  assert.match(cutOff.stderr(), /the bus is away for this coordinator and not for others/);
  await shared(fleet, [8]);
  await goOn(traffic, "the other one to go on");
  await traffic.stop();
  assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
  assert.equal(other.ending(), undefined, other.stderr());
});

test("one that shares and has lost the bus leaves its part to the leader", async () => {
  await using fleet = await openCoordinators(3);
  await using way = await openWay(fleet.nats.address.url);
  const leader = await fleet.start();
  const cutOff = await fleet.start(undefined, { natsUrl: way.url });
  await shared(fleet, [4, 4]);
  const traffic = sendOn(fleet);
  await goOn(traffic, "some traffic");
  way.cut();
  await shared(fleet, [8]);
  await goOn(traffic, "the leader to go on");
  await traffic.stop();
  assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
  assert.deepEqual([leader.ending(), cutOff.ending()], [undefined, undefined]);
});

test("one whose clock is wrong shares nothing and says why", async () => {
  await using fleet = await openCoordinators(3);
  const leader = await fleet.start();
  const early = await fleet.start(undefined, { env: { CLOCK_AHEAD_MS: "60000" } });
  const said = () =>
    /the clock is 60 s ahead of the database's; let NTP set both/.test(early.stdout() + early.stderr());
  await waitFor(said, "it to say so");
  const traffic = sendOn(fleet);
  await goOn(traffic, "some traffic");
  await traffic.stop();
  assert.deepEqual(await fleet.shares(), [8]);
  assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
  assert.equal(leader.ending(), undefined);
});

test("a coordinator goes on while a newer release brings the schema up to date, which adds and changes nothing", async (context) => {
  await using fleet = await openCoordinators(3);
  const old = await fleet.start();
  const traffic = sendOn(fleet);
  await goOn(traffic, "some traffic");
  const folder = mkdtempSync(join(tmpdir(), "fleet2ban-migrations-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(import.meta.dirname, "../../../migrations"), folder, { recursive: true });
  const file = join(folder, "meta/_journal.json");
  const journal = JSON.parse(readFileSync(file, "utf8"));
  const last = journal.entries.at(-1);
  journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: "9999_newer" });
  writeFileSync(file, JSON.stringify(journal));
  const tables = await fleet.store.rows<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not relispartition`,
  );
  const columns = tables.map(({ name }) => `alter table ${name} add column from_the_future text;`);
  writeFileSync(join(folder, "9999_newer.sql"), ["create table newest (id integer);", ...columns].join("\n"));
  const log = pino({ level: "silent" });
  await (await openStore({ url: fleet.databaseUrl, log, migrations: folder })).close();
  await goOn(traffic, "the old one to go on");
  await traffic.stop();
  assert.deepEqual(await wrongs(fleet, traffic.offenders()), []);
  assert.equal(old.ending(), undefined, old.stderr());
});
