import { type KeyObject, sign, verify } from "node:crypto";
import * as shape from "./shape.ts";

/**
 * The order key that is to follow the one in use, announced ahead: how it is changed without going to every host. Signed
 * with the one in use, so whoever runs the bus cannot make himself believed.
 */
export const NextOrderKey = shape.object({
  /** SPKI DER in base64url. */
  key: shape.string().check(shape.minLength(1), shape.maxLength(128)),
  /** Ed25519 in base64url. */
  signature: shape.string().check(shape.maxLength(128)),
});
export type NextOrderKey = Readonly<shape.infer<typeof NextOrderKey>>;

/** Names what is signed, so that this signature is worth nothing for a frame of orders. */
const textOf = (key: string): Buffer => Buffer.from(`fleet2ban next order key 1\0${key}`);

export function announceKey(key: string, current: KeyObject): NextOrderKey {
  return { key, signature: sign(null, textOf(key), current).toString("base64url") };
}

export function isAnnouncedBy({ key, signature }: NextOrderKey, current: KeyObject): boolean {
  return verify(null, textOf(key), current, Buffer.from(signature, "base64url"));
}
