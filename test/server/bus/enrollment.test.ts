import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadCredentials, orderKeyOf, saveCredentials } from "../../../agent/fleet/credentials.ts";
import { enroll } from "../../../agent/fleet/enroll.ts";
import { type Bus, openBus } from "../../../server/bus/bus.ts";
import { type Enrollment, type EnrollmentStore, startEnrollment } from "../../../server/bus/enrollment.ts";
import { newUserNkey } from "../../../server/bus/keys.ts";
import { openSystem, type System } from "../../../server/bus/system.ts";
import { decodeEnrollmentToken, enrollmentProof } from "../../../shared/enrollment.ts";
import type { OrderFrame } from "../../../shared/order-frame.ts";
import { decodeOrderFrame, encodeOrderFrame } from "../../../shared/order-frame.ts";
import { connectUser, startTestNats, type TestNats, testLog, until } from "../../support/nats.ts";

/** One use per token, in memory, with the store's promises. */
class TestStore implements EnrollmentStore {
  readonly uses = new Map<string, number>();
  readonly hosts = new Map<string, { publicKey: string; tenant: string }>();
  readonly moved = new Map<string, number>();
  async enrol({ tokenId, publicKey, names }: Parameters<EnrollmentStore["enrol"]>[0]) {
    const again = [...this.hosts].find(([, identity]) => identity.publicKey === publicKey);
    if (again !== undefined) return { kind: "enrolled", host: again[0], tenant: again[1].tenant } as const;
    const left = this.uses.get(tokenId) ?? 0;
    if (left === 0) return { kind: "refused", why: "this token is used up" } as const;
    this.uses.set(tokenId, left - 1);
    const host = names.find((name) => !this.hosts.has(name)) ?? "";
    this.hosts.set(host, { publicKey, tenant: "t1" });
    return { kind: "enrolled", host, tenant: "t1" } as const;
  }
  async identityOf(host: string) {
    const identity = this.hosts.get(host);
    return identity && { ...identity, sinceMs: this.moved.get(host) ?? null };
  }
}

let nats: TestNats;
let bus: Bus;
let system: System;
let enrollment: Enrollment;
let nowMs = Date.now();
const store = new TestStore();
let tokens = 0;

before(async () => {
  nats = await startTestNats();
  bus = await openBus(nats.address, nats.keys, testLog);
  system = await openSystem(nats.address, nats.keys, nats.account, testLog);
  const { keys, account, address } = nats;
  enrollment = startEnrollment({ bus, system, account, keys, store, address, now: () => nowMs, log: testLog });
  await bus.flush();
});
after(async () => {
  await system?.[Symbol.asyncDispose]();
  await bus?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

function newToken(uses = 1, lifeMs = 60_000): string {
  tokens += 1;
  const id = `0123456789abcdef${tokens}`;
  store.uses.set(id, uses);
  return enrollment.pack(id, nowMs + lifeMs);
}

test("an enrolled host can connect and trusts the coordinator's signature", async () => {
  const credentials = await enroll(newToken(), "Web 1.example.com", Date.now());
  assert.deepEqual([credentials.host, credentials.tenant], ["web-1-example-com", "t1"]);
  const connection = await connectUser(nats, credentials.jwt, credentials.seed);
  await connection.close();
  const frame: OrderFrame = {
    kind: "delta",
    scope: "fleet",
    epoch: 1,
    from: 0,
    to: 0,
    hash: null,
    orders: [],
    atMs: 1,
    spreadMs: 0,
    chunk: null,
  };
  const bytes = encodeOrderFrame(frame, nats.keys.orders);
  assert.deepEqual(decodeOrderFrame(bytes, orderKeyOf(credentials)), frame);
});

test("a token enrols one host, not two", async () => {
  const token = newToken();
  await enroll(token, "one", Date.now());
  await assert.rejects(enroll(token, "two", Date.now()), /refused: this token is used up/);
});

test("two hosts that race for one use: one of them gets it", async () => {
  const token = newToken();
  const results = await Promise.allSettled([enroll(token, "race", Date.now()), enroll(token, "race", Date.now())]);
  assert.deepEqual(results.map((result) => result.status).toSorted(), ["fulfilled", "rejected"]);
});

test("two hosts of one name get different ones", async () => {
  const token = newToken(2);
  const one = await enroll(token, "twin", Date.now());
  const other = await enroll(token, "twin", Date.now());
  assert.equal(one.host, "twin");
  assert.match(other.host, /^twin-[0-9a-f]{6}$/);
});

test("a key that is not the agent's own is not enrolled", async () => {
  const token = decodeEnrollmentToken(newToken());
  const victim = newUserNkey();
  const connection = await connectUser(nats, token.jwt, token.seed);
  try {
    const answers: string[] = [];
    connection.subscribe(`_INBOX.enroll.${token.id}.r`, {
      callback: (_, message) => void answers.push(message.string()),
    });
    const atMs = Date.now();
    const proof = Buffer.alloc(64).toString("base64url");
    const request = { v: 1, publicKey: victim.publicKey, hostHint: "x", atMs, proof };
    connection.publish(`f2b.v1.enroll.${token.id}`, JSON.stringify(request));
    await until(() => answers.length > 0, "an answer");
    assert.match(answers[0] ?? "", /"refused".*proof/);
    assert.equal(store.uses.get(token.id), 1);
  } finally {
    await connection.close();
  }
});

test("a proof is bound to its token", () => {
  const [one, other] = ["0123456789abcdef1", "0123456789abcdef2"].map((id) => enrollmentProof(id, "UABC", 1));
  assert.notDeepEqual(one, other);
});

test("garbage in place of a request is not answered and does no harm", async () => {
  const token = decodeEnrollmentToken(newToken());
  const connection = await connectUser(nats, token.jwt, token.seed);
  try {
    for (const garbage of ["", "{", "null", '{"v":1}', "\u0000".repeat(4_000)]) {
      connection.publish(`f2b.v1.enroll.${token.id}`, garbage);
    }
    await connection.flush();
  } finally {
    await connection.close();
  }
  assert.equal((await enroll(newToken(), "still-works", Date.now())).host, "still-works");
});

test("a token whose time is over opens nothing", async () => {
  const token = newToken(1, 1);
  // Its credentials are good for one second, the shortest there is.
  await until(async () => {
    const result = await enroll(token, "late", Date.now()).then(
      () => "enrolled",
      (error: unknown) => String(error),
    );
    store.uses.set(decodeEnrollmentToken(token).id, 1);
    return /Authorization|Expired|used up/i.test(result);
  }, "the bus refuses it");
});

test("renewed credentials come to the host they are for, and not to whoever asks in a loop", async () => {
  const credentials = await enroll(newToken(), "renewing", Date.now());
  const connection = await connectUser(nats, credentials.jwt, credentials.seed);
  try {
    const answers: string[] = [];
    connection.subscribe("f2b.v1.down.renewing.jwt", { callback: (_, message) => void answers.push(message.string()) });
    nowMs += 5_000;
    for (let count = 0; count < 50; count += 1) connection.publish("f2b.v1.up.renewing.renew");
    await until(() => answers.length > 0, "an answer");
    await bus.flush();
    await connection.flush();
    assert.equal(answers.length, 1);
    const { jwt } = JSON.parse(answers[0] ?? "{}");
    assert.notEqual(jwt, credentials.jwt);
    await (await connectUser(nats, jwt, credentials.seed)).close();
  } finally {
    await connection.close();
  }
});

test("a revoked host is cut off within a second, stays out, and others notice nothing", async () => {
  const evil = await enroll(newToken(), "evil", Date.now());
  const good = await enroll(newToken(), "good", Date.now());
  const evilConnection = await connectUser(nats, evil.jwt, evil.seed);
  const goodConnection = await connectUser(nats, good.jwt, good.seed);
  try {
    const startedMs = performance.now();
    const revoked = enrollment.revoke(store.hosts.get("evil")?.publicKey ?? "");
    await until(() => evilConnection.isClosed(), "evil is cut off", 1_000);
    // What a busy machine adds is in it: alone it takes 20 ms.
    assert.ok(performance.now() - startedMs <= 1_000);
    await revoked;
    assert.match(String(await evilConnection.closed()), /Revoked/);
    await assert.rejects(connectUser(nats, evil.jwt, evil.seed), /Authorization|Revoked/i);
    await goodConnection.flush();
    assert.equal(goodConnection.isClosed(), false);
  } finally {
    await goodConnection.close();
  }
});

test("a revocation survives a restart of nats-server with an empty folder", async () => {
  const evil = await enroll(newToken(), "evil-2", Date.now());
  await enrollment.revoke(store.hosts.get("evil-2")?.publicKey ?? "");
  rmSync(join(nats.dataDir, "nats", "jwt"), { recursive: true });
  const before = nats.server.pid();
  process.kill(before ?? 0, "SIGKILL");
  await until(async () => nats.server.pid() !== before && (await nats.server.healthy()), "the server is back");
  await assert.rejects(connectUser(nats, evil.jwt, evil.seed), /Authorization|Revoked/i);
});

test("credentials are read as they were written, by their owner only", () => {
  const dir = mkdtempSync(join(tmpdir(), "fleet2ban-credentials-"));
  try {
    const file = join(dir, "sub", "agent.credentials");
    const credentials = {
      v: 1,
      url: "nats://192.0.2.1",
      ca: null,
      orderKey: "k",
      host: "h1",
      tenant: "t1",
      seed: "SU",
      jwt: "a.b.c",
    } as const;
    assert.equal(loadCredentials(file), undefined);
    saveCredentials(file, credentials);
    saveCredentials(file, { ...credentials, jwt: "d.e.f" });
    assert.deepEqual(loadCredentials(file), { ...credentials, jwt: "d.e.f" });
    assert.equal(statSync(file).mode & 0o777, 0o600);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
