import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type LiveFleet, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { waitFor } from "../support/wait-for.ts";
import { rotateByCopy, rotateByRename, Storm } from "./storm.ts";

const recoveredMs = 90_000;
/** Nobody is banned by his own host, and passers-by not by the fleet either. */
const jailLocal = "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE\nmaxretry = 100000\n";
const attackLines = 60;
const policy = `
jails: { sshd: { maxretry: 50 } }
spread: null
networks: { ipv4: null, ipv6: null }
limits: { agent: { subjectsPerMinute: 1000000, subjectsPerDay: 1000000 } }
`;
/** More rounds by hand: `FLEET2BAN_KILL_ROUNDS=20 node --test test/fleet/kill.test.ts`. */
const rounds = Number(process.env.FLEET2BAN_KILL_ROUNDS ?? 1);

let fleet: LiveFleet;
/** Of all tests of this file: one book for one database. */
const written = new Map<string, number>();
let attackers = 0;

before(async () => {
  fleet = await openLiveFleet({ hosts: 3, namespaces: namespacesMissing("nft") === false, jailLocal });
  await fleet.query("insert into policies values (1, $1, $2, 'test')", [policy, Date.now()]);
  fleet.coordinator().signal("SIGTERM");
  await fleet.coordinator().ended;
  await fleet.startCoordinator();
});
after(() => fleet?.[Symbol.asyncDispose]());

test("every failure counts exactly once and all hosts end in step, whichever part is killed", async () => {
  {
    using storm = new Storm(fleet.hosts);
    for (let round = 0; round < rounds; round += 1) {
      for (const kill of [killCoordinator, killAgent, killNats, killPostgres, killAll]) {
        attack(storm);
        await storm.more(random(20, 200));
        await kill(storm);
      }
    }
    await storm.more(50);
    book(storm);
  }
  await assertExactlyOnce();
  await assertInStep();
});

test("rotation during the storm costs no line, also while the agent is dead", async () => {
  {
    using storm = new Storm(fleet.hosts);
    for (let round = 0; round < rounds; round += 1) {
      attack(storm);
      for (const rotate of [rotateByRename, rotateByCopy, rotateByRename]) {
        await storm.more(random(20, 200));
        for (const host of fleet.hosts) rotate(host);
      }
      await killAgent(storm, rotateByRename);
      await storm.more(random(20, 100));
      await killAgent(storm, rotateByCopy);
      await killPostgres();
    }
    await storm.more(50);
    book(storm);
  }
  await assertExactlyOnce();
  await assertInStep();
});

async function killCoordinator(storm: Storm): Promise<void> {
  fleet.coordinator().signal("SIGKILL");
  await fleet.coordinator().ended;
  await storm.more(random(1, 100));
  await fleet.startCoordinator();
}

async function killAgent(storm: Storm, meanwhile: (host: LiveHost) => void = () => undefined): Promise<void> {
  const host = fleet.hosts[random(0, fleet.hosts.length - 1)];
  if (host === undefined) return;
  host.agent().signal("SIGKILL");
  await host.agent().ended;
  await storm.more(random(1, 50));
  meanwhile(host);
  await storm.more(random(1, 50));
  host.start();
}

const killNats = () => killChild("nats");
const killPostgres = () => killChild("postgres");

async function killChild(child: "nats" | "postgres"): Promise<void> {
  const pid = await waitFor(() => fleet.childPid(child), `a running ${child}`, recoveredMs);
  process.kill(pid, "SIGKILL");
  await waitFor(
    () => {
      const next = fleet.childPid(child);
      return next !== undefined && next !== pid;
    },
    `another ${child}`,
    recoveredMs,
  );
}

async function killAll(storm: Storm): Promise<void> {
  const pids = [fleet.childPid("postgres"), fleet.childPid("nats")];
  const programs = [fleet.coordinator(), ...fleet.hosts.map((host) => host.agent())];
  for (const program of programs) program.signal("SIGKILL");
  for (const pid of pids) if (pid !== undefined) process.kill(pid, "SIGKILL");
  await Promise.all(programs.map((program) => program.ended));
  await storm.more(random(1, 100));
  for (const host of fleet.hosts) host.start();
  await fleet.startCoordinator();
}

function attack(storm: Storm): void {
  attackers += 1;
  storm.attack(`203.0.113.${attackers}`, attackLines);
}

function book(storm: Storm): void {
  for (const [key, lines] of storm.written) written.set(key, (written.get(key) ?? 0) + lines);
}

type CountRow = Readonly<{ address: string; host: string; lines: number }>;

/** The database holds what was written: every line of every address on every host, once. */
async function assertExactlyOnce(): Promise<void> {
  const expected = [...written.values()].reduce((sum, lines) => sum + lines, 0);
  const sum = async () => {
    const [row] = await fleet.query<{ sum: number }>("select coalesce(sum(count), 0)::int as sum from failures");
    return row?.sum ?? 0;
  };
  const idle = async () => {
    const states = await Promise.all(fleet.hosts.map((host) => host.status()));
    return states.every(({ fleet: line }) => line?.outbox.inFlight === false && line.outbox.waitingRows === 0);
  };
  // A line that does not come is told below, by its address.
  const arrived = await waitFor(async () => (await sum()) >= expected, "every line", recoveredMs).catch(() => false);
  if (arrived) await waitFor(idle, "empty outboxes", recoveredMs);
  const rows = await fleet.query<CountRow>(
    "select host(address) as address, host, sum(count)::int as lines from failures group by 1, 2",
  );
  const found = new Map(rows.map(({ address, host, lines }) => [`${address} ${host}`, lines]));
  const keys = new Set([...written.keys(), ...found.keys()]);
  const wrong = [...keys].flatMap((key) => {
    const [should, is] = [written.get(key) ?? 0, found.get(key) ?? 0];
    return should === is ? [] : [`${key}: ${should} lines written, ${is} counted`];
  });
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${keys.size} wrong`);
}

/** The fleet bans the attackers and nobody else, and every host has exactly that. */
async function assertInStep(): Promise<void> {
  const expected = Array.from({ length: attackers }, (_, index) => `203.0.113.${index + 1}`).toSorted();
  const { items } = await fleet.api<{ items: { net: string }[] }>("GET", "/bans?limit=1000");
  assert.deepEqual(items.map(({ net }) => net.replace("/32", "")).toSorted(), expected);
  const heads = await fleet.query<{ scope: string; revision: string }>("select scope, revision from scopes");
  const revision = Number(heads.find(({ scope }) => scope === "fleet")?.revision);
  const positions = await waitFor(
    async () => {
      const states = await Promise.all(fleet.hosts.map((host) => host.status()));
      const fleets = states.map((state) => state.fleet?.scopes.find(({ scope }) => scope === "fleet"));
      return states.every((state) => state.fleet?.inSync) && fleets.every((each) => each?.revision === revision)
        ? fleets
        : undefined;
    },
    "every host in step",
    recoveredMs,
  );
  assert.equal(new Set(positions.map((position) => JSON.stringify(position))).size, 1);
  if (fleet.network === null) return;
  for (const host of fleet.hosts) {
    await waitFor(async () => (await bannedInKernel(host)).join() === expected.join(), `${host.name}'s kernel`);
  }
}

async function bannedInKernel({ place }: LiveHost): Promise<string[]> {
  const { stdout } = (await place?.run(["nft", "list", "table", "inet", "fleet2ban"])) ?? { stdout: "" };
  return [...new Set(stdout.match(/203\.0\.113\.\d+/g))].toSorted();
}

function random(least: number, most: number): number {
  return least + Math.floor(Math.random() * (most - least + 1));
}
