import { Fleet2banError, messageOf } from "./errors.ts";
import * as shape from "./shape.ts";
import { tokenPattern } from "./subjects.ts";

const urls = shape.exactOptional(
  shape.array(shape.string().check(shape.minLength(1), shape.maxLength(512))).check(shape.maxLength(16)),
);

/** What an operator copies to a new host: everything the agent needs to find and trust the coordinator, once. */
export const EnrollmentToken = shape.object({
  v: shape.literal(1),
  /** Names the token on the bus and in the database; not a secret by itself. */
  id: shape.string().check(shape.regex(/^[a-z0-9]{16,48}$/)),
  url: shape.string().check(shape.minLength(1), shape.maxLength(512)),
  /** All of them when there are several, `url` included; `wss:` ones are for when nothing else gets through. */
  urls,
  /** Certificate authority of the bus in PEM; null = the system's authorities, or no TLS. */
  ca: shape.nullable(shape.string().check(shape.maxLength(8192))),
  /** Ed25519 public key of order frames: SPKI DER in base64url. */
  orderKey: shape.string().check(shape.minLength(1), shape.maxLength(128)),
  /** Short-lived credentials that may enrol and nothing else. */
  jwt: shape.string().check(shape.minLength(1), shape.maxLength(4096)),
  seed: shape.string().check(shape.minLength(1), shape.maxLength(128)),
});
export type EnrollmentToken = Readonly<shape.infer<typeof EnrollmentToken>>;

const tokenPrefix = "f2b-enroll-";
/** A token with a chain of certificates is below this; anything longer is not one of ours. */
const tokenLengthMax = 16_384;

export function encodeEnrollmentToken(token: EnrollmentToken): string {
  return tokenPrefix + Buffer.from(JSON.stringify(token)).toString("base64url");
}

/** @throws Fleet2banError `invalid` when it is cut off, altered or something else */
export function decodeEnrollmentToken(text: string): EnrollmentToken {
  const compact = text.trim();
  if (!compact.startsWith(tokenPrefix) || compact.length > tokenLengthMax) {
    throw new Fleet2banError("invalid", `enrolment token: must start with ${tokenPrefix}; copy the whole line`);
  }
  try {
    const json = Buffer.from(compact.slice(tokenPrefix.length), "base64url").toString("utf8");
    return EnrollmentToken.parse(JSON.parse(json));
  } catch (cause) {
    throw new Fleet2banError("invalid", "enrolment token: incomplete or altered; copy the whole line again", { cause });
  }
}

/** `enroll.<token>`: the agent's own public key, and a proof that it holds the other half. */
export const EnrollmentRequest = shape.object({
  v: shape.literal(1),
  publicKey: shape.string().check(shape.regex(/^U[A-Z2-7]{55}$/)),
  /** The name the host would like; it gets this one or one like it. */
  hostHint: shape.string().check(shape.maxLength(253)),
  atMs: shape.int().check(shape.nonnegative()),
  /** base64url Ed25519 signature of `enrollmentProof`. */
  proof: shape.string().check(shape.maxLength(128)),
});
export type EnrollmentRequest = Readonly<shape.infer<typeof EnrollmentRequest>>;

/** What the agent signs: bound to the token, so that a proof cannot be used with another one. */
export function enrollmentProof(tokenId: string, publicKey: string, atMs: number): Uint8Array {
  return new TextEncoder().encode(`fleet2ban enroll 1 ${tokenId} ${publicKey} ${atMs}`);
}

/** The answer, on the token's fixed inbox; several hosts may enrol with one token, so it says whom it is for. */
export const EnrollmentReply = shape.discriminatedUnion("kind", [
  shape.object({
    kind: shape.literal("enrolled"),
    publicKey: shape.string(),
    host: shape.string().check(shape.regex(tokenPattern)),
    tenant: shape.string().check(shape.regex(tokenPattern)),
    jwt: shape.string().check(shape.minLength(1), shape.maxLength(8192)),
  }),
  shape.object({
    kind: shape.literal("refused"),
    publicKey: shape.string(),
    why: shape.string().check(shape.maxLength(300)),
  }),
]);
export type EnrollmentReply = Readonly<shape.infer<typeof EnrollmentReply>>;

/** What the agent keeps, in a file only root reads. */
export const AgentCredentials = shape.object({
  v: shape.literal(1),
  url: shape.string(),
  urls,
  ca: shape.nullable(shape.string()),
  orderKey: shape.string(),
  /** Believed too, and alone as soon as it is used. */
  orderKeyNext: shape.exactOptional(shape.string()),
  host: shape.string().check(shape.regex(tokenPattern)),
  tenant: shape.string().check(shape.regex(tokenPattern)),
  seed: shape.string(),
  jwt: shape.string(),
});
export type AgentCredentials = Readonly<shape.infer<typeof AgentCredentials>>;

/** @throws Fleet2banError `invalid` naming the file */
export function parseAgentCredentials(text: string, file: string): AgentCredentials {
  try {
    return AgentCredentials.parse(JSON.parse(text));
  } catch (cause) {
    throw new Fleet2banError(
      "invalid",
      `${file}: not agent credentials (${messageOf(cause).split("\n")[0]}); enrol again`,
      {
        cause,
      },
    );
  }
}

/** A host's name as the bus allows it, from whatever the machine calls itself: `Web 1.example.com` → `web-1-example-com`. */
export function hostNameFrom(hint: string): string {
  const name = hint
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 40)
    .replace(/^-+|-+$/g, "");
  return name === "" ? "host" : name;
}
