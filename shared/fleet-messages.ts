import { Fleet2banError } from "./errors.ts";
import { BlockedCounts } from "./firewall-lists.ts";
import { NextOrderKey } from "./next-order-key.ts";
import { ScopeWire } from "./order.ts";
import * as shape from "./shape.ts";
import { tokenPattern } from "./subjects.ts";

/** An agent obeys three scopes: the fleet's, its tenant's, its own. */
const scopesMax = 3;
/** Refused orders named in one report; more of the same says nothing new. */
export const reportedRefusalsMax = 20;
/** Sentences about an agent's problems in one report. */
export const reportedProblemsMax = 20;
const sentenceLengthMax = 300;

const positive = shape.int().check(shape.positive());
const sentence = shape.string().check(shape.maxLength(sentenceLengthMax));

/** Where an agent stands in one scope. Epoch 0 = it has nothing yet. */
const count = shape.int().check(shape.nonnegative());
const ScopePosition = shape.object({ scope: ScopeWire, epoch: count, revision: count });
export type ScopePosition = Readonly<shape.infer<typeof ScopePosition>>;

/**
 * Parts of a snapshot that one question brings, as far as they fit: a hundred thousand bans are 25 parts, and a round
 * trip for each costs both sides more than the part does.
 */
export const snapshotPartsMax = 8;

const setHash = shape.string().check(shape.regex(/^[0-9a-f]{16}$/));

/** `up.<host>.sync`: brings what comes after each position; `chunk` instead asks for one part of a snapshot. */
export const SyncRequest = shape.object({
  v: shape.literal(1),
  /** Of a snapshot send all up to the next part whose index this divides; absent: only the one that is asked for. */
  parts: shape.exactOptional(shape.int().check(shape.minimum(1), shape.maximum(snapshotPartsMax))),
  positions: shape
    .array(
      shape.extend(ScopePosition, {
        /** What the set amounts to there; with it the agent also understands `CurrentPositions`. Absent before 0.2. */
        hash: shape.exactOptional(setHash),
        /** The agent's set is wrong whatever its revision says: it needs a snapshot. */
        damaged: shape.optional(shape.boolean()),
        chunk: shape.optional(shape.object({ epoch: positive, revision: count, index: positive })),
      }),
    )
    .check(shape.minLength(1), shape.maxLength(scopesMax)),
  /** As in `StatusReport`; goes with `hash`. */
  observing: shape.exactOptional(shape.boolean()),
});
export type SyncRequest = Readonly<shape.infer<typeof SyncRequest>>;

/**
 * `down.<host>.current`: of these positions of a question nothing is missing. Not signed, because it changes nothing: an
 * agent only believes to be where it is, which whoever runs the bus could have it believe with any old heartbeat.
 */
export const CurrentPositions = shape.object({
  v: shape.literal(1),
  positions: shape.array(ScopePosition).check(shape.maxLength(scopesMax)),
});
export type CurrentPositions = Readonly<shape.infer<typeof CurrentPositions>>;

/** `up.<host>.status`: what the agent has carried out. The only proof of arrival there is. */
export const StatusReport = shape.object({
  v: shape.literal(1),
  atMs: count,
  scopes: shape.array(shape.extend(ScopePosition, { hash: setHash })).check(shape.maxLength(scopesMax)),
  refused: shape
    .array(
      shape.object({
        scope: ScopeWire,
        id: count,
        net: shape.string().check(shape.maxLength(49)),
        why: sentence,
      }),
    )
    .check(shape.maxLength(reportedRefusalsMax)),
  version: shape.string().check(shape.maxLength(32)),
  firewall: shape.string().check(shape.maxLength(32)),
  /** False when packets are not really stopped. */
  enforcing: shape.boolean(),
  problems: shape.array(sentence).check(shape.maxLength(reportedProblemsMax)),
  /** The order key it will follow when it is used; absent while none was announced. */
  nextOrderKey: shape.exactOptional(shape.string().check(shape.maxLength(128))),
  /** Whether the coordinator's bans are kept and not carried out, as it wants of some hosts; absent before 0.2. */
  observing: shape.exactOptional(shape.boolean()),
  /** Whether the firewall really stops the canary; absent while it has not been looked at. */
  canary: shape.exactOptional(shape.boolean()),
  /** Absent where the firewall does not count. */
  blocked: shape.exactOptional(BlockedCounts),
  /** Rows of failures dropped since the agent started, because its disk kept no more of them while it was cut off; absent = none. */
  lost: shape.exactOptional(count),
});
export type StatusReport = Readonly<shape.infer<typeof StatusReport>>;

/** `down.<host>.ack`: the coordinator has committed every batch of this epoch up to this sequence. */
export const BatchAck = shape.object({
  epoch: shape.string().check(shape.minLength(1), shape.maxLength(32)),
  sequence: positive,
});
export type BatchAck = Readonly<shape.infer<typeof BatchAck>>;

/** `up.<host>.renew` is empty; `down.<host>.jwt` answers with new credentials for the same key. */
export const JwtRenewal = shape.object({
  jwt: shape.string().check(shape.minLength(1), shape.maxLength(8192)),
  tenant: shape.string().check(shape.regex(tokenPattern)),
  nextOrderKey: shape.exactOptional(NextOrderKey),
});
export type JwtRenewal = Readonly<shape.infer<typeof JwtRenewal>>;

/**
 * Reads a message of the bus.
 *
 * @param place  named in the error, for example `status of web-1`
 * @throws Fleet2banError `invalid` when it is not JSON of this shape
 */
export function decodeMessage<Message>(shape: shape.Shape<Message>, payload: Uint8Array, place: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw new Fleet2banError("invalid", `${place}: not JSON in UTF-8`, { cause });
  }
  const read = shape.safeParse(value);
  if (!read.success) throw new Fleet2banError("invalid", `${place}: ${read.error.message}`);
  return read.data;
}

/** JSON in UTF-8; the type says which message it is. */
export function encodeMessage(
  message: SyncRequest | CurrentPositions | StatusReport | BatchAck | JwtRenewal,
): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}
