import { z } from "zod";
import { Fleet2banError } from "./errors.ts";
import { parseScope, type Scope } from "./order.ts";
import { tokenPattern } from "./subjects.ts";

/** An agent obeys three scopes: the fleet's, its tenant's, its own. */
const scopesMax = 3;
/** Refused orders named in one report; more of the same says nothing new. */
export const reportedRefusalsMax = 20;
/** Sentences about an agent's problems in one report. */
export const reportedProblemsMax = 20;
const sentenceLengthMax = 300;

const scope = z
  .string()
  .max(64)
  .transform((text, context): Scope => {
    const read = parseScope(text);
    if (read !== undefined) return read;
    context.addIssue("not a scope");
    return z.NEVER;
  });

/** Where an agent stands in one scope. Epoch 0 = it has nothing yet. */
const ScopePosition = z.object({ scope, epoch: z.int().nonnegative(), revision: z.int().nonnegative() });
export type ScopePosition = Readonly<z.infer<typeof ScopePosition>>;

/** `up.<host>.sync`: brings what comes after each position; `chunk` instead asks for one part of a snapshot. */
export const SyncRequest = z.object({
  v: z.literal(1),
  positions: z
    .array(
      ScopePosition.extend({
        /** The agent's set is wrong whatever its revision says: it needs a snapshot. */
        damaged: z.boolean().optional(),
        chunk: z
          .object({ epoch: z.int().positive(), revision: z.int().nonnegative(), index: z.int().positive() })
          .optional(),
      }),
    )
    .min(1)
    .max(scopesMax),
});
export type SyncRequest = Readonly<z.infer<typeof SyncRequest>>;

/** `up.<host>.status`: what the agent has carried out. The only proof of arrival there is. */
export const StatusReport = z.object({
  v: z.literal(1),
  atMs: z.int().nonnegative(),
  scopes: z.array(ScopePosition.extend({ hash: z.string().regex(/^[0-9a-f]{16}$/) })).max(scopesMax),
  refused: z
    .array(
      z.object({
        scope,
        id: z.int().nonnegative(),
        net: z.string().max(49),
        why: z.string().max(sentenceLengthMax),
      }),
    )
    .max(reportedRefusalsMax),
  version: z.string().max(32),
  firewall: z.string().max(32),
  /** False when packets are not really stopped. */
  enforcing: z.boolean(),
  problems: z.array(z.string().max(sentenceLengthMax)).max(reportedProblemsMax),
});
export type StatusReport = Readonly<z.infer<typeof StatusReport>>;

/** `down.<host>.ack`: the coordinator has committed every batch of this epoch up to this sequence. */
export const BatchAck = z.object({ epoch: z.string().min(1).max(32), sequence: z.int().positive() });
export type BatchAck = Readonly<z.infer<typeof BatchAck>>;

/** `up.<host>.renew` is empty; `down.<host>.jwt` answers with new credentials for the same key. */
export const JwtRenewal = z.object({ jwt: z.string().min(1).max(8192), tenant: z.string().regex(tokenPattern) });
export type JwtRenewal = Readonly<z.infer<typeof JwtRenewal>>;

/**
 * Reads a message of the bus.
 *
 * @param place  named in the error, for example `status of web-1`
 * @throws Fleet2banError `invalid` when it is not JSON of this shape
 */
export function decodeMessage<Shape extends z.ZodType>(
  shape: Shape,
  payload: Uint8Array,
  place: string,
): z.output<Shape> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw new Fleet2banError("invalid", `${place}: not JSON in UTF-8`, { cause });
  }
  const read = shape.safeParse(value);
  if (!read.success) throw new Fleet2banError("invalid", `${place}: ${z.prettifyError(read.error)}`);
  return read.data;
}

/** JSON in UTF-8; the type says which message it is. */
export function encodeMessage(message: SyncRequest | StatusReport | BatchAck | JwtRenewal): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}
