import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Account } from "../../../server/bus/account.ts";
import { openBus } from "../../../server/bus/bus.ts";
import { agentJwt, enrollJwt } from "../../../server/bus/jwt.ts";
import { loadBusKeys, newUserNkey } from "../../../server/bus/keys.ts";
import { managedNats } from "../../../server/bus/managed-nats.ts";
import { openSystem } from "../../../server/bus/system.ts";
import { startNatsServer } from "../../../server/embedded/nats-server.ts";
import { startPublisher } from "../../../server/orders/publisher.ts";
import { encodeMessage } from "../../../shared/fleet-messages.ts";
import { announceKey } from "../../../shared/next-order-key.ts";
import { subjects } from "../../../shared/subjects.ts";
import { FleetAgent } from "../../support/fleet-agent.ts";
import { MemoryOrderLog } from "../../support/memory-order-log.ts";
import { testLog, until } from "../../support/nats.ts";
import { connectRaw } from "../../support/raw-nats.ts";

const dirs: string[] = [];
after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
function newDataDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-keys-"));
  dirs.push(dir);
  return dir;
}

/** From one start of a coordinator to its end: nats-server, and both connections of the coordinator's own. */
async function openLife(dataDir: string) {
  const stack = new AsyncDisposableStack();
  const keys = loadBusKeys(dataDir);
  const account = new Account(keys, new Map(), Date.now());
  const { dir, config } = managedNats({ dataDir, host: "127.0.0.1", tls: null, websocket: null }, keys, account);
  const server = stack.use(
    await startNatsServer({ dir, config, listen: { host: "127.0.0.1", port: 0 }, log: testLog }),
  );
  const address = { url: server.url, ca: null };
  const system = stack.use(await openSystem(address, keys, account, testLog));
  await system.push();
  const bus = stack.use(await openBus(address, keys, testLog));
  const mint = (host: string, { publicKey, seed } = newUserNkey()) => ({
    seed,
    publicKey,
    jwt: agentJwt(keys, { publicKey, host, tenant: "t1" }, Date.now()),
  });
  const lets = async (user: Readonly<{ jwt: string; seed: string }>): Promise<boolean> => {
    try {
      (await connectRaw({ ...user, url: server.url })).destroy();
      return true;
    } catch {
      return false;
    }
  };
  return {
    ...{ keys, account, server, address, dataDir, bus, mint, lets },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const fileOf = (dataDir: string, name: string): string => join(dataDir, "keys", name);

test("operator, SYS, the coordinator's own two and the enrolment signer: removed, made anew, and no agent notices", async () => {
  const dataDir = newDataDir();
  let life = await openLife(dataDir);
  const before = life.keys;
  const agent = life.mint("h1");
  const user = newUserNkey();
  const token = { seed: user.seed, jwt: enrollJwt(life.keys, user.publicKey, "0123456789abcdef", Date.now(), 600) };
  assert.deepEqual([await life.lets(agent), await life.lets(token)], [true, true]);
  await life[Symbol.asyncDispose]();
  for (const name of ["operator", "system-account", "coordinator", "system-user", "enroll-signer"]) {
    rmSync(fileOf(dataDir, `${name}.nk`));
  }
  life = await openLife(dataDir);
  await using _life = life;
  assert.notEqual(life.keys.operator.publicKey, before.operator.publicKey);
  assert.equal(await life.lets(agent), true);
  assert.equal(await life.lets(token), false, "tokens made with the old signer open nothing");
  const { bus } = life;
  await until(async () => {
    const socket = await connectRaw({ ...agent, url: life.address.url });
    socket.write(`PUB ${subjects.failures(0, "h1")} 1\r\nx\r\n`);
    const batches = await bus.pullFailures(10, 300);
    await bus.acknowledge(batches);
    socket.destroy();
    return batches.some(({ host }) => host === "h1");
  }, "failures to arrive");
});

test("the agents' signer: what the old one made counts as long as it is kept beside the new one, and no longer", async () => {
  const dataDir = newDataDir();
  let life = await openLife(dataDir);
  const early = life.mint("early");
  await life[Symbol.asyncDispose]();
  renameSync(fileOf(dataDir, "agent-signer.nk"), fileOf(dataDir, "agent-signer-old.nk"));
  life = await openLife(dataDir);
  const late = life.mint("late");
  assert.deepEqual([await life.lets(early), await life.lets(late)], [true, true]);
  await life[Symbol.asyncDispose]();
  rmSync(fileOf(dataDir, "agent-signer-old.nk"));
  life = await openLife(dataDir);
  await using _life = life;
  assert.deepEqual([await life.lets(early), await life.lets(late)], [false, true]);
});

test("the account: with a new one nothing of the old fleet gets in, and whoever enrols anew does", async () => {
  const dataDir = newDataDir();
  let life = await openLife(dataDir);
  const early = life.mint("early");
  await life[Symbol.asyncDispose]();
  rmSync(fileOf(dataDir, "account.nk"));
  life = await openLife(dataDir);
  await using _life = life;
  assert.deepEqual([await life.lets(early), await life.lets(life.mint("late"))], [false, true]);
});

test("the order key: announced, then used; agents follow it without a word to them, and believe the old one no more", async () => {
  const dataDir = newDataDir();
  await using life = await openLife(dataDir);
  const { bus } = life;
  const orderLog = new MemoryOrderLog();
  const agent = new FleetAgent(life, "h1", "t1");
  await using _agent = agent;
  const publisherWith = (signingKey: typeof life.keys.orders) =>
    startPublisher({
      ...{ bus, orderLog, signingKey, canary: null, log: testLog, now: Date.now },
      agentsOf: () => 1,
      tenantOf: () => "t1",
      observes: () => false,
    });
  const first = await publisherWith(life.keys.orders);
  await until(() => agent.fleet.state().inSync, "it follows");

  const { privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(fileOf(dataDir, "orders-next.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), {
    mode: 0o600,
  });
  const { ordersNext } = loadBusKeys(dataDir);
  assert.ok(ordersNext);
  const told: (string | undefined)[] = [];
  bus.onUp("status", (_host, payload) => told.push(JSON.parse(new TextDecoder().decode(payload)).nextOrderKey));
  const { jwt } = life.mint("h1");
  const stranger = generateKeyPairSync("ed25519").privateKey;
  const tell = (key: typeof stranger) =>
    bus.publish(
      subjects.down("h1", "jwt"),
      encodeMessage({ jwt, tenant: "t1", nextOrderKey: announceKey(ordersNext, key) }),
    );
  tell(stranger);
  const ban = (id: number) =>
    ({ kind: "ban", id, net: `203.0.113.${id}/32`, untilMs: null, ports: null, level: null }) as const;
  first.publish("fleet", orderLog.append("fleet", [ban(1)]));
  await until(() => told.length > 0, "a report");
  assert.equal(told.at(-1), undefined, "nobody else may announce one");
  tell(life.keys.orders);
  first.publish("fleet", orderLog.append("fleet", [ban(2)]));
  await until(() => told.at(-1) === ordersNext, "the agent to know the next key");
  await first[Symbol.asyncDispose]();

  renameSync(fileOf(dataDir, "orders-next.pem"), fileOf(dataDir, "orders.pem"));
  const after = loadBusKeys(dataDir);
  assert.deepEqual([after.ordersPublic, after.ordersNext], [ordersNext, null]);
  const second = await publisherWith(after.orders);
  second.publish("fleet", orderLog.append("fleet", [ban(3)]));
  await until(() => agent.enforced.get("fleet")?.has("ban 3") === true, "an order with the new key");
  const bad = agent.fleet.state().badFrames;
  const third = await publisherWith(life.keys.orders);
  third.publish("fleet", orderLog.append("fleet", [ban(4)]));
  await until(() => agent.fleet.state().badFrames > bad, "the old key's frame to be refused");
  assert.equal(agent.enforced.get("fleet")?.has("ban 4"), false);
  await third[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  assert.equal(existsSync(fileOf(dataDir, "orders-next.pem")), false);
});
