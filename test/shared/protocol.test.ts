import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import { fromPublic } from "@nats-io/nkeys";
import { ScopeState } from "../../agent/fleet/scope-state.ts";
import {
  decodeEnrollmentToken,
  EnrollmentReply,
  EnrollmentRequest,
  encodeEnrollmentToken,
  enrollmentProof,
  parseAgentCredentials,
} from "../../shared/enrollment.ts";
import { decodeFailureBatch, encodeFailureBatch } from "../../shared/failure-batch.ts";
import {
  BatchAck,
  decodeMessage,
  encodeMessage,
  JwtRenewal,
  StatusReport,
  SyncRequest,
} from "../../shared/fleet-messages.ts";
import { decodeOrderFrame, encodeOrderFrame, type OrderFrame } from "../../shared/order-frame.ts";

/** What version 0.1.0 really sent. A change that makes these tests fail cuts off agents that are out there. */
const v1 = JSON.parse(readFileSync(new URL("../corpus/protocol/v1.json", import.meta.url), "utf8"));
const orderKey = createPublicKey({ key: Buffer.from(v1.orderKey, "base64url"), format: "der", type: "spki" });
const signingKey = createPrivateKey({ key: Buffer.from(v1.privateKey, "base64url"), format: "der", type: "pkcs8" });
const bytesOf = (text: string) => new TextEncoder().encode(text);
const frameOf = (name: string) => Buffer.from(v1.frames[name], "base64");
const read = (name: string) => decodeOrderFrame(frameOf(name), orderKey);

test("orders of version 1 are read as they were meant, and carried out to the same hash", () => {
  assert.deepEqual(read("delta").orders, v1.expected.orders);
  assert.equal(read("packedDelta").orders.length, v1.expected.many.count);
  assert.deepEqual(read("packedDelta").orders.at(-1), v1.expected.many.last);
  assert.equal(read("tenantDelta").scope, "tenant:t1");
  const followed = new ScopeState("fleet");
  followed.restore(v1.expected.common.epoch, 0, []);
  for (const name of ["heartbeat", "delta", "packedDelta"]) followed.take(read(name), v1.expected.atMs);
  assert.deepEqual([followed.inSync, followed.set.hash], [true, v1.expected.hash]);
  const fetched = new ScopeState("fleet");
  fetched.take(read("snapshot"), v1.expected.atMs);
  assert.deepEqual([fetched.inSync, fetched.set.hash], [true, v1.expected.hash]);
});

for (const name of ["heartbeat", "delta", "packedDelta", "tenantDelta", "snapshot"]) {
  test(`this coordinator says "${name}" as an agent of version 1 reads it`, () => {
    const recorded = frameOf(name);
    const said = encodeOrderFrame(read(name) as OrderFrame, signingKey);
    assert.equal(said[0], recorded[0]);
    const body = (bytes: Buffer) =>
      (bytes[0] === 1 ? inflateRawSync(bytes.subarray(65)) : bytes.subarray(65)).toString();
    assert.equal(body(said), body(recorded));
    // A packed body may be packed otherwise by another zlib; a plain one is signed the same for ever.
    if (recorded[0] === 0) assert.deepEqual(said, recorded);
  });
}

test("what an agent of version 1 sends is read as it was meant, and said by this agent in the same way", () => {
  const batch = decodeFailureBatch(v1.agent.failureBatch);
  assert.deepEqual(batch, { ...v1.expected.batch, badRows: 0 });
  assert.equal(encodeFailureBatch(batch), v1.agent.failureBatch);
  const sync = decodeMessage(SyncRequest, bytesOf(v1.agent.sync), "sync");
  assert.deepEqual(JSON.parse(v1.agent.sync), sync);
  const status = decodeMessage(StatusReport, bytesOf(v1.agent.status), "status");
  assert.deepEqual(JSON.parse(v1.agent.status), status);
  assert.deepEqual(
    [encodeMessage(sync), encodeMessage(status)].map((each) => JSON.parse(new TextDecoder().decode(each))),
    [JSON.parse(v1.agent.sync), JSON.parse(v1.agent.status)],
  );
});

test("an enrolment of version 1 is still one, on both sides", () => {
  const request = decodeMessage(EnrollmentRequest, bytesOf(v1.agent.enrollmentRequest), "enrolment");
  const signed = enrollmentProof("0123456789abcdef", request.publicKey, request.atMs);
  assert.equal(fromPublic(request.publicKey).verify(signed, Buffer.from(request.proof, "base64url")), true);
  const reply = decodeMessage(EnrollmentReply, bytesOf(v1.coordinator.enrollmentReply), "enrolment");
  assert.equal(reply.kind === "enrolled" && reply.host, "web-1");
  const token = decodeEnrollmentToken(v1.coordinator.token);
  assert.equal(encodeEnrollmentToken(token), v1.coordinator.token);
  const credentials = parseAgentCredentials(v1.credentials, "agent.credentials");
  assert.deepEqual([credentials.url, credentials.host, credentials.tenant], ["nats://192.0.2.1:4222", "web-1", "t1"]);
});

test("acknowledgements and renewals of version 1 are read and said the same", () => {
  const ack = decodeMessage(BatchAck, bytesOf(v1.coordinator.ack), "ack");
  const renewal = decodeMessage(JwtRenewal, bytesOf(v1.coordinator.jwtRenewal), "jwt");
  assert.equal(new TextDecoder().decode(encodeMessage(ack)), v1.coordinator.ack);
  assert.equal(new TextDecoder().decode(encodeMessage(renewal)), v1.coordinator.jwtRenewal);
});

test("a word that a later version adds is passed over, not refused", () => {
  const later = (text: string) => bytesOf(JSON.stringify({ ...JSON.parse(text), later: { than: "this" } }));
  decodeMessage(StatusReport, later(v1.agent.status), "status");
  decodeMessage(SyncRequest, later(v1.agent.sync), "sync");
  decodeMessage(BatchAck, later(v1.coordinator.ack), "ack");
  decodeMessage(JwtRenewal, later(v1.coordinator.jwtRenewal), "jwt");
  assert.equal(decodeFailureBatch(later(v1.agent.failureBatch)).badRows, 0);
});
