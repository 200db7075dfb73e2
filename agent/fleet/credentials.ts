import { createPublicKey, type KeyObject } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { secondMs } from "../../shared/durations.ts";
import { type AgentCredentials, parseAgentCredentials } from "../../shared/enrollment.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import * as shape from "../../shared/shape.ts";
import { giveToOwner } from "../give-to-owner.ts";

/**
 * Reads what `agent enroll` wrote.
 *
 * @returns undefined when there is no such file: the agent works alone
 * @throws Fleet2banError `invalid` or `unavailable`, naming the file
 */
export function loadCredentials(file: string): AgentCredentials | undefined {
  try {
    return parseAgentCredentials(readFileSync(file, "utf8"), file);
  } catch (cause) {
    if (cause instanceof Fleet2banError) throw cause;
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new Fleet2banError("unavailable", `${file}: ${messageOf(cause)}; the agent must be able to read it`, {
      cause,
    });
  }
}

/**
 * Asked before a token is used, which may be good once only.
 *
 * @throws Fleet2banError `unavailable` when `saveCredentials` could not write there
 */
export function requirePlace(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${file}: cannot be written (${messageOf(cause)}); are you root?`, {
      cause,
    });
  }
}

/** Whole or not at all, and readable by its owner only: the one whose directory it is. */
export function saveCredentials(file: string, credentials: AgentCredentials): void {
  const part = `${file}.${process.pid}.part`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    rmSync(part, { force: true });
    const handle = openSync(part, "wx", 0o600);
    try {
      writeSync(handle, `${JSON.stringify(credentials)}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    giveToOwner(part);
    renameSync(part, file);
  } catch (cause) {
    rmSync(part, { force: true });
    throw new Fleet2banError("unavailable", `${file}: cannot be written (${messageOf(cause)})`, { cause });
  }
}

/** The key that order frames must be signed with. @throws Fleet2banError `invalid` */
export function orderKeyOf({ orderKey }: Pick<AgentCredentials, "orderKey">): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(orderKey, "base64url"), format: "der", type: "spki" });
  } catch (cause) {
    throw new Fleet2banError("invalid", "credentials: orderKey is not a key; enrol again", { cause });
  }
}

const JwtSpan = shape.object({ iat: shape.number(), exp: shape.optional(shape.number()) });

/** When the credentials were issued and when they end (null = never). Not verified: nats-server does that. */
export function jwtSpanOf(jwt: string): Readonly<{ issuedMs: number; endMs: number | null }> {
  try {
    const { iat, exp } = JwtSpan.parse(JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString("utf8")));
    return { issuedMs: iat * secondMs, endMs: exp === undefined ? null : exp * secondMs };
  } catch (cause) {
    throw new Fleet2banError("invalid", "credentials: the JWT is damaged; enrol again", { cause });
  }
}
