import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { Account } from "../../../server/bus/account.ts";
import { loadBusKeys } from "../../../server/bus/keys.ts";
import { managedNats } from "../../../server/bus/managed-nats.ts";
import { forwardLines } from "../../../server/embedded/nats-log.ts";
import { findNatsServer, hasKnownHoles, holesOf, refuseOpenHoles } from "../../../server/embedded/nats-program.ts";
import { startNatsServer } from "../../../server/embedded/nats-server.ts";
import { connectAgent, startTestNats, testLog, until } from "../../support/nats.ts";

let dataDir = "";
before(() => {
  dataDir = mkdtempSync(join(tmpdir(), "fleet2ban-nats-server-"));
});
after(() => rmSync(dataDir, { recursive: true, force: true }));

/** Starts one the way a coordinator does, in the file's own directory. */
async function start(port = 0) {
  const keys = loadBusKeys(dataDir);
  const place = { dataDir, host: "127.0.0.1", tls: null, websocket: null };
  const managed = managedNats(place, keys, new Account(keys, new Map(), Date.now()));
  return startNatsServer({ ...managed, listen: { host: "127.0.0.1", port }, log: testLog });
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("keys are made once, readable by their owner only, and found again", () => {
  const one = loadBusKeys(dataDir);
  const again = loadBusKeys(dataDir);
  assert.deepEqual([again.operator.seed, again.ordersPublic], [one.operator.seed, one.ordersPublic]);
  assert.equal(statSync(join(dataDir, "keys")).mode & 0o777, 0o700);
  for (const file of ["operator.nk", "orders.pem", "agent-signer.nk"]) {
    assert.equal(statSync(join(dataDir, "keys", file)).mode & 0o777, 0o600, file);
  }
});

test("a damaged key is an error that says what to do, never a new key", () => {
  const other = mkdtempSync(join(tmpdir(), "fleet2ban-keys-"));
  try {
    loadBusKeys(other);
    writeFileSync(join(other, "keys", "operator.nk"), "garbage");
    assert.throws(() => loadBusKeys(other), /operator\.nk: not a key; restore it from a backup/);
  } finally {
    rmSync(other, { recursive: true });
  }
});

test("it collects its garbage early, unless somebody who runs the coordinator has said how", async () => {
  const garbagePercent = async () => {
    await using server = await start();
    return /\0GOGC=(\d+)\0/.exec(`\0${readFileSync(`/proc/${server.pid()}/environ`, "utf8")}`)?.[1];
  };
  assert.equal(await garbagePercent(), "50");
  process.env.GOGC = "200";
  try {
    assert.equal(await garbagePercent(), "200");
  } finally {
    delete process.env.GOGC;
  }
});

test("stopping leaves no process behind", async () => {
  const server = await start();
  const pid = server.pid() ?? 0;
  assert.equal(await server.healthy(), true);
  await server.stop();
  assert.equal(lives(pid), false);
  assert.equal(server.pid(), undefined);
});

test("a killed server comes back at the same address", async () => {
  await using nats = await startTestNats();
  const { url } = nats.server;
  const pid = nats.server.pid() ?? 0;
  process.kill(pid, "SIGKILL");
  await until(async () => nats.server.pid() !== pid && (await nats.server.healthy()), "another one is healthy");
  assert.equal(nats.server.url, url);
});

test("a server left behind by a killed coordinator is stopped and replaced", async () => {
  const first = await start();
  await first.stop();
  // What a killed coordinator leaves: a server with our configuration whose parent is gone.
  const config = join(dataDir, "nats", "nats.conf");
  const script = `(setsid ${(await findNatsServer(undefined)).path} -c ${config} >/dev/null 2>&1 &)`;
  spawn("sh", ["-c", script], { stdio: "ignore" });
  const pidFile = join(dataDir, "nats", "nats.pid");
  let orphan = 0;
  await until(() => {
    try {
      orphan = Number(readFileSync(pidFile, "utf8"));
    } catch {
      orphan = 0;
    }
    return orphan > 0 && lives(orphan);
  }, "the orphan runs");
  await using second = await start();
  assert.equal(lives(orphan), false);
  assert.equal(await second.healthy(), true);
});

test("a pid file that names a stranger's process kills nobody", async () => {
  const stranger = spawn("sleep", ["60"], { stdio: "ignore" });
  try {
    writeFileSync(join(dataDir, "nats", "nats.pid"), String(stranger.pid));
    await using server = await start();
    assert.equal(await server.healthy(), true);
    assert.equal(lives(stranger.pid ?? 0), true);
  } finally {
    stranger.kill("SIGKILL");
  }
});

test("a port that is taken is an error that names it", async () => {
  await using nats = await startTestNats();
  const port = Number(new URL(nats.server.url).port);
  await assert.rejects(start(port), new RegExp(`:${port} .*is the port free`));
});

test("without a nats-server the error says how to install one", async () => {
  await assert.rejects(
    findNatsServer("/nonexistent/nats-server"),
    /apt-get install nats-server, or give --nats-url|apt-get install nats-server`/,
  );
});

test("versions with published holes are known", () => {
  const verdicts = [
    [2, 9, 10],
    [2, 11, 15],
    [2, 11, 16],
    [2, 12, 6],
    [2, 12, 7],
    [2, 13, 9],
    [2, 14, 0],
    [3, 0, 0],
  ].map(hasKnownHoles);
  assert.deepEqual(verdicts, [true, true, false, true, false, true, false, false]);
});

test("an old version is said aloud, and what nobody can read as a version too", () => {
  assert.match(holesOf("2.9.10") ?? "", /2\.9\.10 has known security holes, fixed in 2\.11\.16/);
  assert.equal(holesOf("2.14.0"), undefined);
  assert.notEqual(holesOf("of unknown version"), undefined);
});

test("an old version is not opened to strangers over WebSocket, where they could crash it unasked", () => {
  const old = { path: "/usr/sbin/nats-server", version: [2, 9, 10] } as const;
  const refused = { name: "Fleet2banError", code: "invalid", message: /version 2\.9\.10, which strangers can crash/ };
  assert.throws(() => refuseOpenHoles(old, "0.0.0.0"), refused);
  for (const host of ["127.0.0.1", "::1", undefined]) refuseOpenHoles(old, host);
  refuseOpenHoles({ ...old, version: [2, 14, 0] }, "0.0.0.0");
});

test("who tries what his credentials forbid is named", async () => {
  const offenders = new Set<string>();
  await using nats = await startTestNats({ onViolation: (publicKey) => offenders.add(publicKey) });
  await using mallory = await connectAgent(nats, "mallory");
  mallory.connection.publish("f2b.v1.bans.t", "x");
  await until(() => offenders.size > 0, "the publisher is named");
  assert.deepEqual([...offenders], [mallory.nkey.publicKey]);
  offenders.clear();
  mallory.connection.subscribe("f2b.v1.fail.>", { callback: () => undefined });
  await until(() => offenders.size > 0, "the subscriber is named");
});

test("a flood of complaints in the server's log is cut, and every offender is still named", async () => {
  const stream = new PassThrough();
  const logged: string[] = [];
  const log = { ...testLog, debug: () => undefined, warn: (_: object, message: string) => logged.push(message) };
  const key = `U${"A".repeat(55)}`;
  let offences = 0;
  forwardLines(stream, Object.assign(Object.create(testLog), log), () => {
    offences += 1;
  });
  for (let count = 0; count < 1_000; count += 1) {
    stream.write(
      `[1] 2026/01/01 00:00:00 [ERR] 127.0.0.1:5 - cid:5 - Publish Violation - JWT User "${key}", Subject "x"\n`,
    );
  }
  stream.end();
  await until(() => offences === 1_000, "all lines are read");
  assert.ok(logged.length <= 20, String(logged.length));
});
