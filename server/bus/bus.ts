import type { UpVerb } from "../../shared/subjects.ts";

/** One message of the failure stream. `host` is whom the bus let publish it; the payload is whatever that host sent. */
export type RawBatch = Readonly<{
  host: string;
  payload: Uint8Array;
  /** Only after the database committed: the bus then forgets it. Unacknowledged ones come again. */
  ack(): void;
}>;

/**
 * The coordinator's side of the bus. It reconnects for ever; what is published while it is cut off is lost, and the
 * protocols above it (order revisions, batch sequences) repair that.
 */
export type Bus = AsyncDisposable &
  Readonly<{
    /**
     * Waits for failures, at most `waitMs`.
     *
     * @returns as many messages as are there, at most `countMax`; none when the time is over or the bus is cut off
     */
    pullFailures(countMax: number, waitMs: number): Promise<readonly RawBatch[]>;
    publish(subject: string, payload: Uint8Array): void;
    /** Every `f2b.v1.up.<host>.<verb>`; one handler per verb. It must not throw and is not waited for. */
    onUp(verb: UpVerb, handler: (host: string, payload: Uint8Array) => void): void;
    /** Every request of an enrolment token's user; the answer goes to that token's fixed inbox. */
    onEnroll(handler: (tokenId: string, payload: Uint8Array) => Promise<Uint8Array | undefined>): void;
    /** After the first connect, if called before it, and after every reconnect. */
    onConnected(handler: () => void): void;
    /** Resolves when the server has everything published so far, or rejects after `flushTimeoutMs`. */
    flush(): Promise<void>;
    connected(): boolean;
  }>;
