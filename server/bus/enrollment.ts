import { randomBytes } from "node:crypto";
import { fromPublic } from "@nats-io/nkeys";
import { dayMs, minuteMs, secondMs } from "../../shared/durations.ts";
import {
  EnrollmentReply,
  EnrollmentRequest,
  encodeEnrollmentToken,
  enrollmentProof,
  hostNameFrom,
} from "../../shared/enrollment.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { decodeMessage, encodeMessage } from "../../shared/fleet-messages.ts";
import { announceKey } from "../../shared/next-order-key.ts";
import { subjects } from "../../shared/subjects.ts";
import type { Logger } from "../logger.ts";
import type { Account } from "./account.ts";
import type { Bus } from "./bus.ts";
import type { BusAddress } from "./connect.ts";
import { agentJwt, enrollJwt } from "./jwt.ts";
import { type BusKeys, newUserNkey } from "./keys.ts";
import type { System } from "./system.ts";

/** What enrolment needs of the store. */
export type EnrollmentStore = Readonly<{
  /**
   * Takes one use of the token and enrols the host under the first of `names` that is free (or under the token's own
   * name), in one transaction. The same key again gets the same host and takes no use.
   */
  enrol(
    request: Readonly<{ tokenId: string; publicKey: string; names: readonly string[] }>,
    nowMs: number,
  ): Promise<EnrolResult>;
  /** undefined = unknown or revoked. */
  identityOf(host: string): Promise<HostIdentity | undefined>;
}>;
export type HostIdentity = Readonly<{
  publicKey: string;
  tenant: string;
  /** Credentials issued up to then are worth nothing, or soon will be; null = all there are count. */
  sinceMs: number | null;
}>;
export type EnrolResult =
  | Readonly<{ kind: "enrolled"; host: string; tenant: string }>
  | Readonly<{ kind: "refused"; why: string }>;

export type Enrollment = Readonly<{
  /**
   * The string an operator copies to a new host.
   *
   * @param tokenId  lower-case letters and digits, unguessable; the store knows what it is good for
   */
  pack(tokenId: string, untilMs: number): string;
  /** Sends the host credentials for the tenant it belongs to now; if it is away, it gets them when it asks. */
  renew(host: string): Promise<void>;
  /** Ends the connection of whoever holds this key within seconds, and lets him in never again. */
  revoke(publicKey: string): Promise<void>;
  /** Ends what was issued for this key up to `untilMs`; whoever is connected with it must come back with what came later. */
  endCredentials(publicKey: string, untilMs: number): Promise<void>;
}>;

export type EnrollmentParts = Readonly<{
  bus: Bus;
  system: Pick<System, "push">;
  account: Account;
  keys: BusKeys;
  store: EnrollmentStore;
  /** What agents connect to, which need not be what we connect to. */
  address: BusAddress;
  now: () => number;
  log: Logger;
}>;

/** A proof from further away in time is an old one, or a clock too wrong to count failures with. */
const proofAgeMaxMs = dayMs;
/** The credentials inside a token end with it, and at the latest after this: tokens are copied around. */
const tokenLifeMaxMs = 30 * dayMs;
/** A host renews once in days; asking in a loop gets nothing. */
const renewPauseMs = minuteMs;
const nameChoices = 4;

/** Answers hosts that enrol, renews the credentials of those that have, ends those of the revoked. */
export function startEnrollment(parts: EnrollmentParts): Enrollment {
  const { bus, system, account, keys, store, address, now, log } = parts;
  const renewedMs = new Map<string, number>();

  bus.onEnroll(async (tokenId, payload) => {
    const request = decodeMessage(EnrollmentRequest, payload, "enrolment");
    const reply = await answer(parts, tokenId, request);
    log.info(
      { ...reply, jwt: undefined, tokenId: tokenId.slice(0, 6), event: `enrol_${reply.kind}` },
      "answered a host that wants to enrol",
    );
    return new TextEncoder().encode(JSON.stringify(EnrollmentReply.parse(reply)));
  });

  const renew = async (host: string): Promise<void> => {
    const nowMs = now();
    renewedMs.set(host, nowMs);
    const identity = await store.identityOf(host);
    if (identity === undefined) return;
    // Whole seconds are compared: what is issued in the second of a move must be seen to come after it.
    const issuedMs = Math.max(nowMs, (identity.sinceMs ?? 0) + secondMs);
    const jwt = agentJwt(keys, { host, ...identity }, issuedMs);
    const next = keys.ordersNext === null ? {} : { nextOrderKey: announceKey(keys.ordersNext, keys.orders) };
    bus.publish(subjects.down(host, "jwt"), encodeMessage({ jwt, tenant: identity.tenant, ...next }));
    log.info({ host, event: "jwt_renewed" }, "renewed a host's credentials");
  };
  bus.onUp("renew", (host) => {
    if (now() - (renewedMs.get(host) ?? Number.NEGATIVE_INFINITY) < renewPauseMs) return;
    renew(host).catch((error: unknown) => {
      log.warn({ host, problem: messageOf(error), event: "renew_failed" }, "could not renew a host's credentials");
    });
  });

  // Nobody listens to the host any more, whatever becomes of this; the server gets it as soon as it is there.
  const push = (): Promise<void> =>
    system.push().catch((error: unknown) => {
      const fields = { problem: messageOf(error), event: "revocation_waits" };
      log.warn(fields, "nats-server does not know of a revocation yet; it will when it is back");
    });

  return {
    renew,
    pack(tokenId, untilMs) {
      const nowMs = now();
      const user = newUserNkey();
      const seconds = Math.ceil(Math.min(untilMs - nowMs, tokenLifeMaxMs) / secondMs);
      if (seconds <= 0) throw new Fleet2banError("invalid", "enrolment token: its end must lie in the future");
      const jwt = enrollJwt(keys, user.publicKey, tokenId, nowMs, seconds);
      const { url, urls, ca } = address;
      const places = urls === undefined || urls.length < 2 ? { url } : { url, urls: [...urls] };
      const secrets = { orderKey: keys.ordersPublic, jwt, seed: user.seed };
      return encodeEnrollmentToken({ v: 1, id: tokenId, ...places, ca, ...secrets });
    },
    async revoke(publicKey) {
      account.revoke(publicKey, now());
      await push();
    },
    async endCredentials(publicKey, untilMs) {
      account.endCredentials(publicKey, untilMs, now());
      await push();
    },
  };
}

async function answer(
  { keys, store, now }: EnrollmentParts,
  tokenId: string,
  { publicKey, hostHint, atMs, proof }: EnrollmentRequest,
): Promise<EnrollmentReply> {
  const nowMs = now();
  const refused = (why: string): EnrollmentReply => ({ kind: "refused", publicKey, why });
  if (Math.abs(nowMs - atMs) > proofAgeMaxMs) {
    return refused("this host's clock is more than a day away from the coordinator's; set it first");
  }
  const signed = enrollmentProof(tokenId, publicKey, atMs);
  if (!verifies(publicKey, signed, proof)) return refused("the proof of the key is wrong");
  const wanted = hostNameFrom(hostHint);
  // A random ending finds a free name without a search.
  const endings = Array.from({ length: nameChoices - 1 }, () => randomBytes(3).toString("hex"));
  const names = [wanted, ...endings.map((ending) => `${wanted}-${ending}`)];
  const result = await store.enrol({ tokenId, publicKey, names }, nowMs);
  if (result.kind === "refused") return refused(result.why);
  const { host, tenant } = result;
  return { kind: "enrolled", publicKey, host, tenant, jwt: agentJwt(keys, { publicKey, host, tenant }, nowMs) };
}

/** False for anything that is not a key or not a signature, too: both come from a stranger. */
function verifies(publicKey: string, signed: Uint8Array, proof: string): boolean {
  try {
    return fromPublic(publicKey).verify(signed, Buffer.from(proof, "base64url"));
  } catch {
    return false;
  }
}
