import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { failedLogin, type LiveFleet, type LiveHost, openLiveFleet } from "../support/live-fleet.ts";
import { RotatingLog } from "../support/rotating-log.ts";
import { waitFor } from "../support/wait-for.ts";

const recoveredMs = 90_000;
/** Nobody is banned: what is looked at here is counting. */
const jailLocal = "[sshd]\nenabled = true\nbackend = polling\nlogpath = LOGFILE.d/*/app.log\nmaxretry = 100000\n";
const policy = `
jails: { sshd: { maxretry: 1000 } }
spread: null
networks: { ipv4: null, ipv6: null }
limits: { agent: { subjectsPerMinute: 1000000, subjectsPerDay: 1000000 } }
`;

let fleet: LiveFleet;
let host: LiveHost;
/** Every line ever written, by its address: one failure each. */
const written = new Set<string>();
/** Lines the coordinator has not heard of. */
let unsent = 0;
const logs: RotatingLog[] = [];

before(async () => {
  fleet = await openLiveFleet({ hosts: 1, namespaces: false, jailLocal });
  const [only] = fleet.hosts;
  assert.ok(only !== undefined);
  host = only;
  await fleet.query("insert into policies values (1, $1, $2, 'test')", [policy, Date.now()]);
  await stopBus();
  await fleet.startCoordinator();
});
after(() => fleet?.[Symbol.asyncDispose]());

/** The coordinator with its nats-server: nobody hears the agent. */
async function stopBus(): Promise<void> {
  fleet.coordinator().signal("SIGTERM");
  await fleet.coordinator().ended;
  await waitFor(async () => (await host.status()).fleet?.connected === false, "the agent to be cut off", recoveredMs);
}

/** A log of its own, each line with an address of its own. */
function newLog(): RotatingLog {
  const number = logs.length + 1;
  const directory = join(`${host.logFile}.d`, String(number));
  const log = new RotatingLog(directory, "app.log", (index) => {
    const address = `2001:db8:${number}:${(index + 1).toString(16)}::1`;
    written.add(address);
    unsent += 1;
    return failedLogin(host.name, address, Date.now());
  });
  logs.push(log);
  return log;
}

/** Every line is on the agent's disk; one batch of one row is on its way. */
async function allKept(): Promise<void> {
  let kept: number | undefined;
  await waitFor(
    async () => {
      kept = (await host.status()).fleet?.outbox.spooledRows;
      return kept === unsent - 1;
    },
    "every line to be kept once",
    recoveredMs,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${kept} kept of ${unsent - 1}`);
  });
}

async function killAgent(meanwhile: () => void): Promise<void> {
  host.agent().signal("SIGKILL");
  await host.agent().ended;
  meanwhile();
  host.start();
  await host.status();
}

/** As if all this happened between two looks. */
async function frozen(meanwhile: () => void): Promise<void> {
  host.agent().signal("SIGSTOP");
  meanwhile();
  host.agent().signal("SIGCONT");
}

/** The coordinator has each line once. */
async function assertExactlyOnce(): Promise<void> {
  const isEmpty = async () => {
    const outbox = (await host.status()).fleet?.outbox;
    return outbox?.inFlight === false && outbox.waitingRows === 0;
  };
  await waitFor(isEmpty, "an empty outbox", recoveredMs);
  const rows = await fleet.query<{ address: string; lines: number }>(
    "select host(address) as address, sum(count)::int as lines from failures group by 1",
  );
  const counted = new Map(rows.map(({ address, lines }) => [address, lines]));
  const wrong = [...new Set([...written, ...counted.keys()])].flatMap((address) => {
    const lines = counted.get(address) ?? 0;
    return written.has(address) && lines === 1 ? [] : [`${address}: counted ${lines} times`];
  });
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${written.size} wrong`);
}

/** What happens to logs between two looks of the agent, or while it is dead. */
const rotations: Readonly<Record<string, (log: RotatingLog) => void>> = {
  "a rename": (log) => {
    log.rotateByRename();
    log.write(3);
  },
  "two renames": (log) => {
    log.rotateByRename();
    log.write(3);
    log.rotateByRename();
    log.write(3);
  },
  "a rename that is compressed": (log) => {
    log.rotateByRename({ compress: true });
    log.write(3);
  },
  "a rename whose writer goes on in the old file": (log) => {
    log.rotateByRename({ create: false });
    log.write(3, `${log.path}.1`);
    log.write(3);
  },
  "a copy, then truncated": (log) => {
    log.rotateByCopy();
    log.write(1);
  },
  "a copy, then truncated and grown past the old offset": (log) => {
    log.rotateByCopy();
    log.write(40);
  },
  "a copy that is compressed, then truncated": (log) => {
    log.rotateByCopy({ compress: true });
    log.write(1);
  },
};

test("over every kind of rotation, its own death and the loss of all logs, nothing is lost or counted twice while the bus is dead", async () => {
  mkdirSync(`${host.logFile}.d`, { recursive: true });
  const live = Object.entries(rotations).map(([name, rotate]) => ({ name, rotate, log: newLog() }));
  const late = newLog();
  const dead = Object.entries(rotations).map(([name, rotate]) => ({ name, rotate, log: newLog() }));
  for (const log of logs) log.write(3);
  const counted = async () =>
    (await fleet.query<{ rows: number }>("select count(*)::int as rows from failures"))[0]?.rows === written.size;
  await waitFor(counted, "the first lines to be counted", recoveredMs);
  await stopBus();
  unsent = 0;
  // The batch on its way has this line only, so that the others can be counted on the disk.
  late.write(1);
  await waitFor(async () => (await host.status()).fleet?.outbox.inFlight, "the first line to be in flight");

  await frozen(() => {
    for (const { rotate, log } of live) {
      log.write(3);
      rotate(log);
    }
    late.rotateByRename();
  });
  await allKept();
  late.write(2, `${late.path}.1`);
  await allKept();

  for (const { log } of dead) log.write(3);
  // In the middle: some of these lines are read, some are not, some are kept.
  await killAgent(() => {
    for (const { rotate, log } of dead) {
      log.write(3);
      rotate(log);
    }
  });
  await allKept();

  // Day after day of it: what was read is deleted, also the file that is read right now.
  for (let day = 0; day < 3; day += 1) {
    for (const log of logs) {
      log.write(5);
      log.rotateByRename();
    }
    await allKept();
    for (const log of logs) rmSync(`${log.path}.1`);
  }
  await killAgent(() => rmSync(`${host.logFile}.d`, { recursive: true }));

  await fleet.startCoordinator();
  await assertExactlyOnce();
});
