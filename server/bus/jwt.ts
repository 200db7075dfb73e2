import { createHash, sign } from "node:crypto";
import { z } from "zod";
import { type BusKeys, base32Text, type Nkey } from "./keys.ts";
import {
  agentTemplate,
  coordinatorPermissions,
  enrollTemplate,
  failureMappings,
  type Permissions,
  systemPermissions,
} from "./permissions.ts";

/**
 * The JWTs of nats-server's operator mode. Our own encoder: the library's takes 31 ms of CPU for one, this one 0.1 ms,
 * and a fleet renews ten thousand. Source of the claims' names: nats-io/jwt v2.
 */

/** How long an agent's credentials are good; it renews at half of it. Bounds how long revocations must be remembered. */
export const agentJwtSeconds = 7 * 24 * 3600;
/** Streams and consumers the account may have: ours are one each; the rest is room for a change without downtime. */
const streamsMax = 4;
const consumersMax = 64;
/**
 * What the failure stream may take of the server's memory: ten thousand agents that send a line or two each fill a tenth
 * of it. Agents keep what does not fit, and send it again.
 */
export const streamBytesMax = 128 * 1024 * 1024;
/** Where an earlier release had the stream; the server starts with it, and the coordinator makes it anew. */
const diskBytesMax = 1024 * 1024 * 1024;

/** Public keys, and up to when their credentials must have been issued to be worth nothing. */
export type Revocations = ReadonlyMap<string, number>;

/**
 * Of a revoked key: its credentials count as issued before its revocation even if the clock was ahead by a day when they
 * were. A host that is let in again comes with a new key.
 */
export function forGood(revokedMs: number): number {
  return revokedMs + clockSlackMs;
}
const clockSlackMs = 24 * 3_600_000;

export function operatorJwt(keys: BusKeys, nowMs: number): string {
  const nats = { type: "operator", version: 2, system_account: keys.systemAccount.publicKey };
  return encodeJwt(keys.operator, keys.operator.publicKey, "fleet2ban", nats, nowMs);
}

export function systemAccountJwt(keys: BusKeys, nowMs: number): string {
  const nats = { type: "account", version: 2, limits: { ...accountLimits, leaf: 0 }, default_permissions: denyAll };
  return encodeJwt(keys.operator, keys.systemAccount.publicKey, "SYS", nats, nowMs);
}

/** The account of coordinators and agents, with what each kind of signing key may make and who is revoked. */
export function accountJwt(keys: BusKeys, revocations: Revocations, nowMs: number): string {
  const revoked = [...revocations].map(([publicKey, untilMs]) => [publicKey, Math.floor(untilMs / 1000)] as const);
  const nats = {
    type: "account",
    version: 2,
    limits: {
      ...accountLimits,
      mem_storage: streamBytesMax,
      disk_storage: diskBytesMax,
      streams: streamsMax,
      consumer: consumersMax,
    },
    signing_keys: [
      ...[keys.agentSigner.publicKey, keys.agentSignerOld ?? []].flat().map(agentScope),
      { kind: "user_scope", key: keys.enrollSigner.publicKey, role: "enroll", template: enrollTemplate },
    ],
    // A user made without permissions can do nothing.
    default_permissions: denyAll,
    mappings: failureMappings,
    ...(revoked.length > 0 ? { revocations: Object.fromEntries(revoked) } : {}),
  };
  return encodeJwt(keys.operator, keys.account.publicKey, "F2B", nats, nowMs);
}

/** Good for `host`'s own subjects and its tenant's orders; worthless without the seed, which never leaves the agent. */
export function agentJwt(keys: BusKeys, agent: AgentIdentity, nowMs: number): string {
  const nats = { ...scopedUser(keys), tags: [`tenant:${agent.tenant}`] };
  return encodeJwt(keys.agentSigner, agent.publicKey, agent.host, nats, nowMs, agentJwtSeconds);
}
export type AgentIdentity = Readonly<{ publicKey: string; host: string; tenant: string }>;

export function enrollJwt(keys: BusKeys, publicKey: string, tokenId: string, nowMs: number, seconds: number): string {
  return encodeJwt(keys.enrollSigner, publicKey, tokenId, scopedUser(keys), nowMs, seconds);
}

export function coordinatorJwt(keys: BusKeys, nowMs: number): string {
  return encodeJwt(keys.account, keys.coordinator.publicKey, "coordinator", userWith(coordinatorPermissions), nowMs);
}

export function systemUserJwt(keys: BusKeys, nowMs: number): string {
  return encodeJwt(keys.systemAccount, keys.systemUser.publicKey, "system", userWith(systemPermissions), nowMs);
}

const Issued = z.object({ iat: z.number() });

/** When credentials were issued, in ms; 0 for what cannot be read. Not verified: nats-server has done that. */
export function issuedMsOf(jwt: string): number {
  try {
    return Issued.parse(JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString("utf8"))).iat * 1000;
  } catch {
    return 0;
  }
}

function agentScope(key: string) {
  return { kind: "user_scope", key, role: "agent", template: agentTemplate };
}

const unlimited = -1;
const denyAll = { pub: { deny: [">"] }, sub: { deny: [">"] } };
const accountLimits = {
  subs: unlimited,
  data: unlimited,
  payload: unlimited,
  imports: 0,
  exports: 0,
  wildcards: true,
  conn: unlimited,
  leaf: 0,
};

/** A user of a scoped key must bring no permissions of its own, or the server refuses it. */
function scopedUser(keys: BusKeys) {
  return { type: "user", version: 2, issuer_account: keys.account.publicKey };
}

function userWith(permissions: Permissions) {
  return {
    type: "user",
    version: 2,
    pub: { allow: permissions.publish },
    sub: { allow: permissions.subscribe },
    subs: unlimited,
    data: unlimited,
    payload: unlimited,
  };
}

function encodeJwt(issuer: Nkey, subject: string, name: string, nats: object, nowMs: number, seconds?: number): string {
  const iat = Math.floor(nowMs / 1000);
  const claims = {
    iat,
    ...(seconds === undefined ? {} : { exp: iat + seconds }),
    iss: issuer.publicKey,
    sub: subject,
    name,
    nats,
  };
  const jti = base32Text(createHash("sha256").update(JSON.stringify(claims)).digest());
  const head = base64url({ typ: "JWT", alg: "ed25519-nkey" });
  const unsigned = `${head}.${base64url({ jti, ...claims })}`;
  return `${unsigned}.${sign(null, Buffer.from(unsigned), issuer.signingKey).toString("base64url")}`;
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
