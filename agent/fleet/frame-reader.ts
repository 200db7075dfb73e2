import type { KeyObject } from "node:crypto";
import { messageOf } from "../../shared/errors.ts";
import { decodeOrderFrame, type ReceivedFrame } from "../../shared/order-frame.ts";
import type { Logger } from "../logger.ts";
import { orderKeyOf } from "./credentials.ts";

export type FrameReaderParts = Readonly<{
  /** The coordinator's, from the credentials. */
  orderKey: KeyObject;
  /** The one that is to follow, when it was announced. */
  nextKey?: () => string | undefined;
  /** A frame was signed with that one: from now on it alone counts. */
  onNextKey?: () => void;
  log: Logger;
}>;

/** Whoever forges frames may send very many. */
const loggedEach = 10_000;

/** Reads what was signed with the order key this agent knows, or the one that was announced to follow it. */
export class FrameReader {
  readonly #parts: FrameReaderParts;
  #orderKey: KeyObject;
  #bad = 0;

  constructor(parts: FrameReaderParts) {
    this.#parts = parts;
    this.#orderKey = parts.orderKey;
  }

  /** Frames whose signature or form was wrong. */
  get bad(): number {
    return this.#bad;
  }

  /** undefined for what is no frame of the coordinator's. */
  read(payload: Uint8Array): ReceivedFrame | undefined {
    try {
      return this.#decode(payload);
    } catch (error) {
      this.#bad += 1;
      if (this.#bad % loggedEach === 1) {
        const fields = { problem: messageOf(error), badFrames: this.#bad, event: "frame_refused" };
        this.#parts.log.error(fields, "refused an order frame");
      }
      return undefined;
    }
  }

  #decode(payload: Uint8Array): ReceivedFrame {
    const next = this.#parts.nextKey?.();
    try {
      return decodeOrderFrame(payload, this.#orderKey);
    } catch (error) {
      if (next === undefined) throw error;
      const key = orderKeyOf({ orderKey: next });
      const frame = decodeOrderFrame(payload, key);
      this.#orderKey = key;
      this.#parts.onNextKey?.();
      return frame;
    }
  }
}
