import { minuteMs, secondMs } from "../../shared/durations.ts";
import {
  batchBytesMax,
  batchRowsMax,
  decodeFailureBatch,
  encodeFailureBatch,
  type Failure,
  type FailureBatch,
} from "../../shared/failure-batch.ts";
import type { BatchAck } from "../../shared/fleet-messages.ts";
import type { Logger } from "../logger.ts";
import { monotonicMs } from "../monotonic.ts";
import { type Parcel, PendingFailures, type PositionsBySource } from "./pending-failures.ts";

/** A batch that must survive a restart unchanged. */
export type InFlightBatch = Readonly<{ sequence: number; payload: Uint8Array; positions: PositionsBySource }>;

export type OutboxStore = Readonly<{
  /** Names this life of the agent's memory; sequences count within it. */
  epoch(): string;
  nextSequence(): number;
  inFlight(): InFlightBatch | undefined;
  /** On the disk when it returns. */
  begin(batch: InFlightBatch): void;
  /** Forgets the batch and saves its positions, both or neither. False when that sequence is not in flight. */
  acknowledge(sequence: number, nowMs: number): boolean;
  /** A new life that begins with sequence 1 and nothing in flight. */
  renewEpoch(): string;
}>;

export type OutboxParts = Readonly<{
  store: OutboxStore;
  /** False when cut off. */
  send: (payload: Uint8Array) => boolean;
  /** The coordinator has everything up to these positions, for good. */
  onAcknowledged: (positions: PositionsBySource) => void;
  /** There is room again after `add` said no: read on from the last positions that were taken. */
  onRoom: () => void;
  /** How far agents spread what they all send at the same moment; grows with the fleet. */
  spreadMs: () => number;
  now: () => number;
  random: () => number;
  log: Logger;
}>;

/** The first failure leaves at once; those after it together, after a pause that grows with the fleet. */
const pauseMs = { least: 50, most: 2 * secondMs } as const;
/** Five times less often than agents may speak: an outbox is busy all day, other messages are rare. */
const pausePerSpread = 0.2;
/** Without an acknowledgement the same batch goes out again, ever more patiently. */
const againMs = { first: secondMs, longest: minuteMs } as const;
/** A log that moves on without failures is worth a batch this often; until then a restart reads its tail once more. */
const quietMs = 30 * secondMs;

/**
 * Failures on their way to the coordinator. One batch is in flight at a time. It is on the disk before it is sent and
 * is sent unchanged until it is acknowledged, so nothing is lost and nothing counts twice, whoever crashes.
 */
export class Outbox implements Disposable {
  readonly #parts: OutboxParts;
  readonly #pending = new PendingFailures();
  #inFlight: InFlightBatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires; monotonic, as all of these. */
  #dueMs = 0;
  #againMs: number = againMs.first;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #refused = 0;
  #full = false;
  #closed = false;

  /** A batch that was in flight when the agent ended goes out first, with the first `connected`. */
  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#inFlight = parts.store.inFlight();
  }

  /** What operators want to know: rows waiting, and failures that found no room and wait in the log. */
  get state(): Readonly<{ waitingRows: number; inFlight: boolean; refusedFailures: number }> {
    return { waitingRows: this.#pending.rows, inFlight: this.#inFlight !== undefined, refusedFailures: this.#refused };
  }

  /**
   * What the batch in flight covers. After a restart reading goes on from here, and from the saved positions only for
   * sources that are not in here: the lines between would count twice.
   */
  get covered(): PositionsBySource {
    return this.#inFlight?.positions ?? new Map();
  }

  /**
   * Takes failures with the positions up to where the logs are now covered; without failures, only the positions.
   *
   * @param failures  with `localBans` at most `batchRowsMax`
   * @returns false when there is no room: the caller stops reading for the coordinator, and goes on with what follows
   *   the positions taken last when `onRoom` is called. Nothing is lost as long as the log still holds it.
   */
  add(parcel: Parcel): boolean {
    if (parcel.failures.length + parcel.localBans.length > batchRowsMax) {
      throw new RangeError(`outbox: more than ${batchRowsMax} rows added together`);
    }
    if (this.#full || !this.#pending.add(parcel)) {
      this.#overflow(parcel);
      return false;
    }
    const rows = parcel.failures.length + parcel.localBans.length;
    if (this.#inFlight === undefined) this.#schedule(rows > 0 ? this.#pauseMs() : quietMs);
    return true;
  }

  /** After each connect: nobody knows what became of the batch in flight. */
  connected(): void {
    this.#againMs = againMs.first;
    if (this.#inFlight !== undefined) this.#restart(this.#parts.spreadMs() * this.#parts.random());
    else if (!this.#pending.empty) this.#schedule(0);
  }

  /** The coordinator has committed a batch. */
  acknowledged({ epoch, sequence }: BatchAck): void {
    const batch = this.#inFlight;
    if (batch === undefined || epoch !== this.#parts.store.epoch() || sequence < batch.sequence) return;
    if (sequence > batch.sequence) {
      this.#startNewLife(batch);
      return;
    }
    this.#parts.store.acknowledge(sequence, this.#parts.now());
    this.#inFlight = undefined;
    this.#againMs = againMs.first;
    this.#stopTimer();
    this.#parts.onAcknowledged(batch.positions);
    if (this.#pending.rows >= batchRowsMax) this.#schedule(0);
    else if (!this.#pending.empty) this.#schedule(this.#pending.rows > 0 ? this.#pauseMs() : quietMs);
    if (this.#full && this.#pending.rows === 0) {
      this.#full = false;
      this.#parts.onRoom();
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopTimer();
  }

  #overflow({ failures }: Parcel): void {
    this.#refused += failures.length;
    if (this.#full) return;
    this.#full = true;
    this.#parts.log.warn(
      { waitingRows: this.#pending.rows, event: "outbox_full" },
      "has no room for more failures until the coordinator is back; they wait in the log, and local bans go on",
    );
  }

  #pauseMs(): number {
    const wantedMs = Math.min(Math.max(this.#parts.spreadMs() * pausePerSpread, pauseMs.least), pauseMs.most);
    return Math.max(0, this.#lastSentMs + wantedMs - monotonicMs());
  }

  /** Leaves an earlier deadline alone; shortens a later one. */
  #schedule(delayMs: number): void {
    const dueMs = monotonicMs() + delayMs;
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    this.#restart(delayMs);
  }

  #restart(delayMs: number): void {
    this.#stopTimer();
    if (this.#closed) return;
    this.#dueMs = monotonicMs() + delayMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, delayMs);
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #flush(): void {
    this.#inFlight ??= this.#nextBatch();
    if (this.#inFlight === undefined) return;
    // Cut off: `connected` sends it.
    if (!this.#parts.send(this.#inFlight.payload)) return;
    this.#lastSentMs = monotonicMs();
    const waitMs = this.#againMs * (1 + this.#parts.random());
    this.#againMs = Math.min(this.#againMs * 2, againMs.longest);
    this.#restart(waitMs + this.#parts.spreadMs());
  }

  #nextBatch(): InFlightBatch | undefined {
    if (this.#pending.empty) return undefined;
    const { positions, ...rows } = this.#pending.take();
    return this.#begin(rows, positions);
  }

  #begin(rows: Pick<FailureBatch, "failures" | "localBans">, positions: PositionsBySource): InFlightBatch {
    const { store } = this.#parts;
    const sequence = store.nextSequence();
    const encode = (failures: readonly Failure[]) =>
      new TextEncoder().encode(
        encodeFailureBatch({ epoch: store.epoch(), sequence, failures, localBans: rows.localBans }),
      );
    let payload = encode(rows.failures);
    // Samples are a courtesy; a batch above the limit would cost the connection, again and again.
    if (payload.byteLength > batchBytesMax) payload = encode(rows.failures.map(({ sample: _, ...rest }) => rest));
    const batch = { sequence, payload, positions };
    store.begin(batch);
    return batch;
  }

  /** The coordinator knows more of this life than we do: our memory is an old copy. Its sequences are used up. */
  #startNewLife(batch: InFlightBatch): void {
    const rows = decodeFailureBatch(batch.payload);
    this.#parts.store.renewEpoch();
    this.#inFlight = this.#begin(rows, batch.positions);
    this.#parts.log.warn({ event: "outbox_renewed" }, "the agent's memory is an old copy; began a new sequence");
    this.#restart(0);
  }
}
