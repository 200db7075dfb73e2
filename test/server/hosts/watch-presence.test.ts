import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectAs } from "../../../server/bus/connect.ts";
import { systemUserJwt } from "../../../server/bus/jwt.ts";
import { systemInbox } from "../../../server/bus/permissions.ts";
import { listConnections } from "../../../server/bus/presence.ts";
import { openSystem, type System } from "../../../server/bus/system.ts";
import { Conduct } from "../../../server/hosts/conduct.ts";
import { HostDirectory } from "../../../server/hosts/host-directory.ts";
import { watchPresence } from "../../../server/hosts/watch-presence.ts";
import { minuteMs } from "../../../shared/durations.ts";
import { subjects } from "../../../shared/subjects.ts";
import { startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";
import { connectRaw, rawAgent } from "../../support/raw-nats.ts";

let nats: TestNats;
let system: System;
let nowMs = 1_000_000;
const directory = new HostDirectory();
const conduct = new Conduct();
let check: () => void;

before(async () => {
  nats = await startTestNats();
  system = await openSystem(nats.address, nats.keys, nats.account, testLog);
  ({ check } = watchPresence(system, { directory, conduct, now: () => nowMs }));
  await system.push();
});
after(async () => {
  await system?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

/** A host of the fleet, and its credentials. */
function enrolled(host: string) {
  const user = rawAgent(nats, host);
  directory.put({ host, tenant: "t1", publicKey: user.publicKey, state: "active", observe: false });
  return user;
}

test("a copied key is noticed when both machines have been there for minutes, and named; who comes back alone is not", async () => {
  const [copied, single] = [enrolled("copied"), enrolled("single")];
  const sockets = [await connectRaw(copied), await connectRaw(copied), await connectRaw(single)];
  const left = await connectRaw(single);
  await until(() => directory.isConnected("copied") && directory.isConnected("single"), "both are heard of");
  left.destroy();
  // The server's word of it has to be here before the next one is.
  sockets.push(await connectRaw(enrolled("last")));
  await until(() => directory.isConnected("last"), "the server has told all of it");
  nowMs += minuteMs;
  check();
  assert.deepEqual(conduct.review(nowMs).verdicts, []);
  nowMs += 3 * minuteMs;
  check();
  assert.deepEqual(conduct.review(nowMs).verdicts, [
    {
      ...{ host: "copied", misdeed: "cloned_key", count: 1, quarantine: false },
      why: "its key is used by two machines: enrol one of them anew",
    },
  ]);
  assert.deepEqual(conduct.problems(), ["copied its key is used by two machines: enrol one of them anew"]);
  for (const socket of sockets) socket.destroy();
});

test("three messages too large within a minute are a reason for quarantine", async () => {
  const fat = enrolled("fat");
  for (let count = 0; count < 3; count += 1) {
    const socket = await connectRaw(fat);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    socket.write(`PUB ${subjects.failures(0, "fat")} 70000\r\n`);
    await closed;
  }
  const verdicts: unknown[] = [];
  await until(() => {
    verdicts.push(...conduct.review(nowMs).verdicts);
    return verdicts.length > 0;
  }, "the verdict");
  assert.deepEqual(verdicts, [
    {
      ...{ host: "fat", misdeed: "oversized_payload", count: 3, quarantine: true },
      why: "sent 3 messages larger than any agent's",
    },
  ]);
});

test("whoever came before anybody listened is told of, page by page, and who has left is not", async () => {
  const hosts = ["early-1", "early-2", "early-3", "early-4", "early-5"];
  const sockets = await Promise.all(hosts.map((host) => connectRaw(enrolled(host))));
  await until(() => hosts.every((host) => directory.isConnected(host)), "all of them");
  const late = new HostDirectory();
  for (const host of hosts) late.put(directory.get(host) ?? assert.fail(host));
  await using listener = await openSystem(nats.address, nats.keys, nats.account, testLog);
  watchPresence(listener, { directory: late, conduct, now: () => nowMs });
  listener.tellPresent();
  await until(() => hosts.every((host) => late.isConnected(host)), "the late one to know");

  sockets[0]?.destroy();
  await until(() => !late.isConnected("early-1"), "it to leave");
  listener.tellPresent();
  const { address, keys, account } = nats;
  const jwt = () => systemUserJwt(keys, Date.now());
  const user = { name: "lister", jwt, seed: keys.systemUser.seed, inbox: systemInbox };
  const connection = await connectAs(address, user);
  try {
    const listed = await Array.fromAsync(listConnections(connection, account.publicKey, 2));
    const names = listed.map(({ publicKey }) => directory.hostOfKey(publicKey)?.host ?? "");
    assert.deepEqual(names.filter((name) => name.startsWith("early-")).toSorted(), hosts.slice(1));
    assert.equal(new Set(listed.map((each) => each.connection)).size, listed.length);
    assert.ok(listed.every(({ jwt: credentials }) => credentials !== ""));
    // Nobody who answers is not nobody who is connected.
    process.kill(nats.server.pid() ?? 0, "SIGSTOP");
    await assert.rejects(Array.fromAsync(listConnections(connection, account.publicKey)), /does not say who/);
  } finally {
    process.kill(nats.server.pid() ?? 0, "SIGCONT");
    await connection.close();
  }
  for (const socket of sockets) socket.destroy();
});
