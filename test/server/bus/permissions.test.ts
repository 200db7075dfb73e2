import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Bus, openBus } from "../../../server/bus/bus.ts";
import { coordinatorJwt, enrollJwt } from "../../../server/bus/jwt.ts";
import { newUserNkey } from "../../../server/bus/keys.ts";
import { partitionOfHost } from "../../../server/domain/partition.ts";
import {
  collectErrors,
  connectAgent,
  connectUser,
  startTestNats,
  type TestAgent,
  type TestNats,
  testLog,
  until,
} from "../../support/nats.ts";

let nats: TestNats;
let bus: Bus;
/** Two hosts of one tenant and one of another. `mallory` is root on its own VPS and does with its credentials what it likes. */
let mallory: TestAgent;
let neighbour: TestAgent;
let stranger: TestAgent;

before(async () => {
  nats = await startTestNats();
  bus = await openBus(nats.address, nats.keys, testLog);
  mallory = await connectAgent(nats, "mallory", "t1");
  neighbour = await connectAgent(nats, "neighbour", "t1");
  stranger = await connectAgent(nats, "stranger", "t2");
  // The stream must stand before anybody attacks it.
  await until(async () => {
    mallory.connection.publish("f2b.v1.fail.0.mallory", "hello");
    const batches = await bus.pullFailures(10, 500);
    await bus.acknowledge(batches);
    return batches.length > 0;
  }, "the failure stream works");
});
after(async () => {
  for (const each of [mallory, neighbour, stranger]) await each?.connection.close();
  await bus?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

/** Whether the server refused; asked after two round trips, when its answer must be here. */
async function refused(
  { connection, errors }: Pick<TestAgent, "connection" | "errors">,
  subject: string,
  attempt: () => void,
): Promise<boolean> {
  const before = errors.length;
  attempt();
  await connection.flush();
  await connection.flush();
  return errors.slice(before).some((error) => error.message.includes(`"${subject}"`));
}

for (const subject of [
  "f2b.v1.fail.0.neighbour",
  "f2b.v1.up.neighbour.status",
  "f2b.v1.up.neighbour.renew",
  "f2b.v1.bans.t",
  "f2b.v1.bans.hello",
  "f2b.v1.bans.g.t1.t",
  "f2b.v1.down.neighbour.ack",
  "f2b.v1.down.mallory.jwt",
  "f2b.v1.enroll.abc",
  "_INBOX.coordinator.x",
  "_INBOX.enroll.abc.r",
  "$JS.API.INFO",
  "$JS.API.STREAM.CREATE.EVIL",
  "$JS.API.STREAM.INFO.FAILURES",
  "$JS.API.STREAM.PURGE.FAILURES",
  "$JS.API.STREAM.DELETE.FAILURES",
  "$JS.API.STREAM.MSG.GET.FAILURES",
  "$JS.API.CONSUMER.CREATE.FAILURES",
  "$JS.API.CONSUMER.CREATE.FAILURES.evil",
  "$JS.API.CONSUMER.MSG.NEXT.FAILURES.ingest-0",
  "$JS.ACK.FAILURES.ingest-0.1.1.1.1.0",
  "$SYS.REQ.CLAIMS.UPDATE",
  "$SYS.REQ.SERVER.PING.VARZ",
]) {
  test(`an agent may not publish ${subject}`, async () => {
    assert.equal(await refused(mallory, subject, () => mallory.connection.publish(subject, "x")), true);
  });
}

for (const subject of [
  ">",
  "*.>",
  "f2b.>",
  "f2b.v1.fail.>",
  "f2b.v1.fail.0.neighbour",
  "f2b.v1.up.>",
  "f2b.v1.down.>",
  "f2b.v1.down.*.ack",
  "f2b.v1.down.neighbour.sync",
  "f2b.v1.bans.>",
  "f2b.v1.bans.g.*.t",
  "f2b.v1.bans.g.t2.t",
  "f2b.v1.enroll.*",
  "_INBOX.>",
  "_INBOX.neighbour.>",
  "_INBOX.enroll.>",
  "$JS.API.>",
  "$JS.EVENT.>",
  "$SYS.>",
  "$SYS.ACCOUNT.*.CONNECT",
]) {
  test(`an agent may not subscribe to ${subject}`, async () => {
    const subscribe = () => {
      const subscription = mallory.connection.subscribe(subject, { callback: () => undefined });
      subscription.unsubscribe(1);
    };
    assert.equal(await refused(mallory, subject, subscribe), true);
  });
}

test("an agent hears its own and its tenant's orders, and not another tenant's", async () => {
  const heard: string[] = [];
  const listen = (agent: TestAgent, subject: string) =>
    agent.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) heard.push(`${agent.host} ${message.subject}`);
      },
    });
  const subscriptions = [
    listen(neighbour, "f2b.v1.bans.t"),
    listen(neighbour, "f2b.v1.bans.g.t1.t"),
    listen(neighbour, "f2b.v1.down.neighbour.sync"),
    listen(stranger, "f2b.v1.bans.t"),
    listen(stranger, "f2b.v1.bans.g.t2.t"),
  ];
  await neighbour.connection.flush();
  await stranger.connection.flush();
  for (const subject of ["f2b.v1.bans.t", "f2b.v1.bans.g.t1.t", "f2b.v1.down.neighbour.sync"]) {
    bus.publish(subject, new Uint8Array());
  }
  await bus.flush();
  await neighbour.connection.flush();
  await stranger.connection.flush();
  assert.deepEqual(heard.toSorted(), [
    "neighbour f2b.v1.bans.g.t1.t",
    "neighbour f2b.v1.bans.t",
    "neighbour f2b.v1.down.neighbour.sync",
    "stranger f2b.v1.bans.t",
  ]);
  for (const subscription of subscriptions) subscription.unsubscribe();
});

test("a reply subject chosen by an agent is never answered: not by the stream, not by the coordinator", async () => {
  const reflected: string[] = [];
  const subscriptions = ["f2b.v1.bans.t", "f2b.v1.down.neighbour.sync"].map((subject) =>
    neighbour.connection.subscribe(subject, { callback: (_, message) => void reflected.push(message.subject) }),
  );
  let handled = 0;
  bus.onUp("sync", () => {
    handled += 1;
  });
  await bus.flush();
  await neighbour.connection.flush();
  for (const [index, reply] of ["f2b.v1.bans.t", "f2b.v1.down.neighbour.sync"].entries()) {
    mallory.connection.publish("f2b.v1.fail.0.mallory", "x", { reply });
    // While that one waits the stream has no place for this one, and must not say so to anybody either.
    mallory.connection.publish("f2b.v1.fail.0.mallory", "y", { reply });
    mallory.connection.publish("f2b.v1.up.mallory.sync", "x", { reply });
    let pulled = 0;
    await until(async () => {
      const batches = await bus.pullFailures(10, 200);
      await bus.acknowledge(batches);
      pulled += batches.length;
      return pulled >= 1 && handled > index;
    }, "both messages were handled");
  }
  await bus.flush();
  await neighbour.connection.flush();
  assert.deepEqual(reflected, []);
  for (const subscription of subscriptions) subscription.unsubscribe();
});

test("whom a failure is from is told by the subject, whatever the payload says", async () => {
  neighbour.connection.publish("f2b.v1.fail.0.neighbour", JSON.stringify({ host: "stranger" }));
  let hosts: string[] = [];
  await until(async () => {
    const batches = await bus.pullFailures(10, 200);
    await bus.acknowledge(batches);
    hosts = batches.map((batch) => batch.host);
    return hosts.length > 0;
  }, "the failure arrives");
  assert.deepEqual(hosts, ["neighbour"]);
});

test("an agent that floods fills its own place and nobody else's", async () => {
  // Nobody reads now; what is beyond one of mallory is not kept.
  await using other = await startTestNats();
  {
    await using setup = await openBus(other.address, other.keys, testLog);
    await using probe = await connectAgent(other, "probe");
    await until(async () => {
      probe.connection.publish("f2b.v1.fail.0.probe", "x");
      const batches = await setup.pullFailures(10, 500);
      await setup.acknowledge(batches);
      return batches.length > 0;
    }, "the stream stands");
  }
  await using flood = await connectAgent(other, "flood");
  await using calm = await connectAgent(other, "calm");
  for (let count = 0; count < 500; count += 1) flood.connection.publish("f2b.v1.fail.0.flood", `${count}`);
  await flood.connection.flush();
  calm.connection.publish("f2b.v1.fail.0.calm", "its batch");
  await calm.connection.flush();
  await using reader = await openBus(other.address, other.keys, testLog);
  const counts = new Map<string, number>();
  await until(async () => {
    const batches = await reader.pullFailures(100, 300);
    for (const { host } of batches) counts.set(host, (counts.get(host) ?? 0) + 1);
    await reader.acknowledge(batches);
    return counts.get("calm") === 1;
  }, "the calm agent's batch arrives");
  assert.equal(counts.get("flood"), 1);
});

test("an agent that sends more than 64 KiB at once is cut off", async () => {
  await using fat = await connectAgent(nats, "fat");
  const closed = fat.connection.closed();
  // The library would not send it; whoever writes his own client is not stopped by that.
  Object.assign(fat.connection.info ?? {}, { max_payload: 1_000_000 });
  fat.connection.publish("f2b.v1.fail.0.fat", new Uint8Array(70_000));
  // The reset may overtake the server's last words.
  assert.match(String(await closed), /Payload|ECONNRESET|EPIPE/i);
});

test("an agent has no more than ten subscriptions", async () => {
  await using many = await connectAgent(nats, "many");
  for (let count = 0; count < 20; count += 1) {
    many.connection.subscribe("f2b.v1.down.many.ack", { callback: () => undefined });
  }
  await until(() => many.errors.some((error) => /subscription/i.test(error.message)), "the eleventh is refused");
});

test("nobody gets in without credentials", async () => {
  const { connect } = await import("@nats-io/transport-node");
  await assert.rejects(connect({ servers: nats.address.url, reconnect: false, timeout: 3_000 }), /Authorization/i);
});

test("credentials are worth nothing without their key", async () => {
  const thief = newUserNkey();
  await assert.rejects(connectUser(nats, coordinatorJwt(nats.keys, Date.now()), thief.seed), /Authorization/i);
});

test("the key that makes agents cannot make anything more", async () => {
  const evil = newUserNkey();
  const { sign } = await import("node:crypto");
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const iat = Math.floor(Date.now() / 1000);
  const all = { allow: [">"] };
  const claims = {
    jti: "x",
    iat,
    iss: nats.keys.agentSigner.publicKey,
    sub: evil.publicKey,
    name: "evil",
    nats: {
      type: "user",
      version: 2,
      issuer_account: nats.keys.account.publicKey,
      pub: all,
      sub: all,
      subs: -1,
      data: -1,
      payload: -1,
    },
  };
  const unsigned = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode(claims)}`;
  const jwt = `${unsigned}.${sign(null, Buffer.from(unsigned), nats.keys.agentSigner.signingKey).toString("base64url")}`;
  await assert.rejects(connectUser(nats, jwt, evil.seed), /Authorization/i);
});

test("the server puts each host into its partition, and asks for permission after it has", async () => {
  const partition = partitionOfHost("neighbour");
  for (const asked of [0, 1, 7]) {
    const subject = `f2b.v1.fail.${asked === 0 ? partition : asked}.neighbour`;
    const publish = () => mallory.connection.publish(`f2b.v1.fail.${asked}.neighbour`, "x");
    assert.equal(await refused(mallory, subject, publish), true, subject);
  }
  bus.readFailures(new Set([partitionOfHost("mallory")]));
  mallory.connection.publish("f2b.v1.fail.0.mallory", "heard");
  neighbour.connection.publish("f2b.v1.fail.0.neighbour", "waits");
  assert.deepEqual(await readUntil("heard"), ["heard"]);
  bus.readFailures(new Set([partition]));
  assert.deepEqual(await readUntil("waits"), ["waits"]);
});

/** What comes of the failure stream until this has. */
async function readUntil(text: string): Promise<string[]> {
  const texts: string[] = [];
  await until(async () => {
    const batches = await bus.pullFailures(10, 200);
    texts.push(...batches.map(({ payload }) => Buffer.from(payload).toString()));
    await bus.acknowledge(batches);
    return texts.includes(text);
  }, text);
  return texts;
}

test("the holder of an enrolment token may ask its one question and hear its one answer", async () => {
  const user = newUserNkey();
  const id = "0123456789abcdef";
  const connection = await connectUser(nats, enrollJwt(nats.keys, user.publicKey, id, Date.now(), 60), user.seed);
  const holder = { connection, errors: collectErrors(connection) };
  try {
    for (const subject of ["f2b.v1.enroll.other", "f2b.v1.fail.1.mallory", "f2b.v1.bans.t", "$JS.API.INFO"]) {
      assert.equal(await refused(holder, subject, () => connection.publish(subject, "x")), true, subject);
    }
    for (const subject of ["_INBOX.enroll.other.r", "_INBOX.>", "f2b.v1.bans.t"]) {
      const subscribe = () => connection.subscribe(subject, { callback: () => undefined });
      assert.equal(await refused(holder, subject, () => void subscribe()), true, subject);
    }
    assert.equal(
      await refused(holder, `f2b.v1.enroll.${id}`, () => connection.publish(`f2b.v1.enroll.${id}`, "x")),
      false,
    );
  } finally {
    await connection.close();
  }
});
