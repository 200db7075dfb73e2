import { createUser, type KeyPair } from "@nats-io/nkeys";
import type { NatsConnection } from "@nats-io/transport-node";
import { secondMs } from "../../shared/durations.ts";
import {
  type AgentCredentials,
  decodeEnrollmentToken,
  EnrollmentReply,
  type EnrollmentRequest,
  type EnrollmentToken,
  enrollmentProof,
} from "../../shared/enrollment.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { decodeMessage } from "../../shared/fleet-messages.ts";
import { subjects } from "../../shared/subjects.ts";
import { authenticatorFor, connectTo } from "./bus-places.ts";

const connectTimeoutMs = 10 * secondMs;
const answerTimeoutMs = 10 * secondMs;
/** A coordinator that is busy, or just restarting, leaves a question unanswered. */
const askTimes = 3;
const connectTimes = 3;

/**
 * Enrols this host: makes a key that never leaves it, proves to the coordinator that it holds it, and gets credentials.
 * A repeat with the same key gets the same answer, so a lost one costs no second use of the token.
 *
 * @param hostHint  the name the host would like, usually its own
 * @throws Fleet2banError `invalid` for a bad token, `forbidden` when the coordinator says no, `unavailable` when it cannot be asked
 */
export async function enroll(tokenText: string, hostHint: string, nowMs: number): Promise<AgentCredentials> {
  const token = decodeEnrollmentToken(tokenText);
  const pair = createUser();
  const connection = await connectWith(token);
  try {
    const reply = await ask(connection, token, requestOf(token, pair, hostHint, nowMs));
    if (reply.kind === "refused") throw new Fleet2banError("forbidden", `enrolment refused: ${reply.why}`);
    const { host, tenant, jwt } = reply;
    const seed = new TextDecoder().decode(pair.getSeed());
    const { url, urls, ca, orderKey } = token;
    return { v: 1, url, ...(urls === undefined ? {} : { urls }), ca, orderKey, host, tenant, seed, jwt };
  } finally {
    await connection.close();
  }
}

function requestOf(token: EnrollmentToken, pair: KeyPair, hostHint: string, atMs: number): EnrollmentRequest {
  const publicKey = pair.getPublicKey();
  const proof = Buffer.from(pair.sign(enrollmentProof(token.id, publicKey, atMs))).toString("base64url");
  return { v: 1, publicKey, hostHint: hostHint.slice(0, 253), atMs, proof };
}

async function connectWith(token: EnrollmentToken): Promise<NatsConnection> {
  const options = {
    authenticator: authenticatorFor(token.seed, () => token.jwt),
    reconnect: false,
    ignoreClusterUpdates: true,
    timeout: connectTimeoutMs,
  };
  let failure: unknown;
  // Enough for one try over each kind of line.
  for (let attempt = 0; attempt < connectTimes; attempt += 1) {
    try {
      return await connectTo(token, options, attempt);
    } catch (error) {
      // The usual way's failure says more than the detour's.
      failure ??= error;
    }
  }
  const places = (token.urls ?? [token.url]).join(", ");
  throw new Fleet2banError(
    "unavailable",
    `${places}: ${messageOf(failure)}; is the coordinator reachable from here, and the token still good?`,
    { cause: failure },
  );
}

async function ask(connection: NatsConnection, token: EnrollmentToken, request: EnrollmentRequest) {
  const answered = Promise.withResolvers<EnrollmentReply>();
  connection.subscribe(subjects.enrollInbox(token.id), {
    callback: (error, message) => {
      if (error !== null) return;
      try {
        const reply = decodeMessage(EnrollmentReply, message.data, "enrolment");
        // Others may be enrolling with the same token.
        if (reply.publicKey === request.publicKey) answered.resolve(reply);
      } catch (cause) {
        answered.reject(cause instanceof Error ? cause : new Error(String(cause)));
      }
    },
  });
  for (let attempt = 0; attempt < askTimes; attempt += 1) {
    connection.publish(subjects.enroll(token.id), JSON.stringify(request));
    const timeout = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => timeout.resolve(undefined), answerTimeoutMs);
    try {
      const reply = await Promise.race([answered.promise, timeout.promise]);
      if (reply !== undefined) return reply;
    } finally {
      clearTimeout(timer);
    }
  }
  throw new Fleet2banError("unavailable", `${token.url}: the coordinator did not answer; is it running?`);
}
