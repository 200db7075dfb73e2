import { deflateRawSync, inflateRawSync } from "node:zlib";
import { minuteMs, secondMs } from "../../shared/durations.ts";
import { messageOf } from "../../shared/errors.ts";
import { batchBytesMax, batchRowsMax, encodeFailureBatch, renumberFailureBatch } from "../../shared/failure-batch.ts";
import type { BatchAck } from "../../shared/fleet-messages.ts";
import type { Logger } from "../logger.ts";
import { monotonicMs } from "../monotonic.ts";
import { OpenBatch, type Parcel, type PositionsBySource } from "./open-batch.ts";

/** A batch that must survive a restart unchanged. */
export type InFlightBatch = Readonly<{ sequence: number; payload: Uint8Array }>;

/** What the agent's disk keeps for the outbox. Each call is one transaction: positions move with their failures. */
export type OutboxStore = Readonly<{
  /** Names this life of the agent's memory; sequences count within it. */
  epoch(): string;
  nextSequence(): number;
  inFlight(): InFlightBatch | undefined;
  /** On the disk, also against a power cut, when it returns. `spooled` leaves the spool with it. */
  begin(batch: InFlightBatch, positions: PositionsBySource, nowMs: number, spooled?: number): void;
  /** Forgets the batch. False when that sequence is not in flight. */
  acknowledge(sequence: number): boolean;
  /** A new life, in which the batch in flight is the first. */
  renew(payloadFor: (epoch: string) => Uint8Array): InFlightBatch;
  /** Keeps rows behind those that wait already; with `id` in place of what was kept under it. */
  spool(batch: SpooledRows, positions: PositionsBySource, nowMs: number): Readonly<{ id: number; droppedRows: number }>;
  oldestSpooled(): Readonly<{ id: number; content: Uint8Array }> | undefined;
  dropSpooled(id: number): void;
  spoolState(): Readonly<{ rows: number; bytes: number }>;
  /** When nothing was found on the way there. */
  moveTo(positions: PositionsBySource, nowMs: number): void;
}>;
export type SpooledRows = Readonly<{ id: number | undefined; rows: number; content: Uint8Array }>;

export type OutboxParts = Readonly<{
  store: OutboxStore;
  /** False when cut off. */
  send: (payload: Uint8Array) => boolean;
  /** How far agents spread what they all send at the same moment; grows with the fleet. */
  spreadMs: () => number;
  now: () => number;
  random: () => number;
  log: Logger;
}>;

/** What operators want to know: rows waiting, those of them on the disk, and rows that were dropped for room. */
export type OutboxState = Readonly<{
  waitingRows: number;
  inFlight: boolean;
  spooledRows: number;
  spooledBytes: number;
  lostRows: number;
}>;

/** The first failure leaves at once; those after it together, after a pause that grows with the fleet. */
const pauseMs = { least: 50, most: 2 * secondMs } as const;
/** Five times less often than agents may speak: an outbox is busy all day, other messages are rare. */
const pausePerSpread = 0.2;
/** Without an acknowledgement the same batch goes out again, ever more patiently. */
const againMs = { first: secondMs, longest: minuteMs } as const;
/** A log that moves on without failures: until it is written down, a restart reads this much of it once more. */
const quietMs = 30 * secondMs;
/** What has to wait is on the disk after this: a log that is deleted sooner, by whoever also kills the agent, is lost. */
export const keepMs = 250;
/** The loss of failures that found no room is said again this often while it goes on. */
const sayAgainMs = 60 * minuteMs;

/**
 * Failures on their way to the coordinator. One batch is in flight at a time. It is on the disk before it is sent and
 * is sent unchanged until it is acknowledged, so nothing is lost and nothing counts twice, whoever crashes.
 *
 * What comes meanwhile goes into the spool, compressed and without a number, and the log's position with it: from then
 * on the log may be rotated away. Spooled batches get their numbers, and leave, in the order they came.
 */
export class Outbox implements Disposable {
  readonly #parts: OutboxParts;
  #open = new OpenBatch();
  /** The spool's copy of the open batch, rewritten as it grows. */
  #copy: Readonly<{ id: number; rows: number }> | undefined;
  #inFlight: InFlightBatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires; monotonic, as all of these. */
  #dueMs = 0;
  #keepTimer: NodeJS.Timeout | undefined;
  #againMs: number = againMs.first;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #lostRows = 0;
  #saidLostMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** A batch that was in flight when the agent ended goes out first, with the first `connected`. */
  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#inFlight = parts.store.inFlight();
  }

  get state(): OutboxState {
    const { rows, bytes } = this.#parts.store.spoolState();
    const waitingRows = rows - (this.#copy?.rows ?? 0) + this.#open.rows;
    const inFlight = this.#inFlight !== undefined;
    return { waitingRows, inFlight, spooledRows: rows, spooledBytes: bytes, lostRows: this.#lostRows };
  }

  get problems(): readonly string[] {
    if (this.#lostRows === 0) return [];
    return [
      `dropped ${this.#lostRows} rows of failures since the agent started: its disk kept no more of them while it was cut off`,
    ];
  }

  /**
   * Takes failures with the positions up to where the logs are now covered; without failures, only the positions.
   *
   * @param parcel  at most `batchRowsMax` rows
   */
  add(parcel: Parcel): void {
    const rows = parcel.failures.length + parcel.localBans.length;
    if (rows > batchRowsMax) throw new RangeError(`outbox: more than ${batchRowsMax} rows added together`);
    if (!this.#open.fits(parcel)) this.#seal();
    this.#open.add(parcel);
    if (this.#inFlight === undefined) this.#schedule(rows > 0 ? this.#pauseMs() : quietMs);
    else this.#keepSoon();
  }

  /** After each connect: nobody knows what became of the batch in flight. */
  connected(): void {
    this.#againMs = againMs.first;
    if (this.#inFlight !== undefined) this.#restart(this.#parts.spreadMs() * this.#parts.random());
    else this.#schedule(0);
  }

  /** The coordinator has committed a batch. */
  acknowledged({ epoch, sequence }: BatchAck): void {
    const { store, log } = this.#parts;
    const batch = this.#inFlight;
    if (batch === undefined || epoch !== store.epoch() || sequence < batch.sequence) return;
    this.#againMs = againMs.first;
    if (sequence > batch.sequence) {
      // Its sequences are used up.
      this.#inFlight = store.renew((fresh) => numbered(new TextDecoder().decode(batch.payload), fresh, 1));
      log.warn({ event: "outbox_renewed" }, "the agent's memory is an old copy; began a new sequence");
      this.#restart(0);
      return;
    }
    store.acknowledge(sequence);
    this.#inFlight = undefined;
    this.#stopTimer();
    if (this.#sealed() !== undefined) this.#schedule(0);
    else if (!this.#open.empty) this.#schedule(this.#open.rows > 0 ? this.#pauseMs() : quietMs);
  }

  /** What could not leave is kept for the next life. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopTimer();
    this.#keep();
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
    try {
      this.#inFlight ??= this.#nextBatch();
    } catch (err) {
      // A full disk: what could not be written down must not be sent.
      this.#parts.log.error({ err, event: "outbox_unwritable" }, "could not write down a batch; trying again");
      this.#restart(againMs.longest);
    }
    if (this.#inFlight === undefined) return;
    // Cut off: `connected` sends it.
    if (!this.#parts.send(this.#inFlight.payload)) return;
    this.#lastSentMs = monotonicMs();
    const waitMs = this.#againMs * (1 + this.#parts.random());
    this.#againMs = Math.min(this.#againMs * 2, againMs.longest);
    this.#restart(waitMs + this.#parts.spreadMs());
  }

  #nextBatch(): InFlightBatch | undefined {
    const { store, now } = this.#parts;
    for (let sealed = this.#sealed(); sealed !== undefined; sealed = this.#sealed()) {
      const text = this.#read(sealed);
      if (text !== undefined) return this.#begin(text, new Map(), sealed.id);
    }
    const { positions } = this.#open.content;
    let batch: InFlightBatch | undefined;
    if (this.#open.rows > 0) batch = this.#begin(this.#encodeOpen(), positions, this.#copy?.id);
    else if (positions.size > 0) store.moveTo(positions, now());
    this.#startAfresh();
    return batch;
  }

  #begin(text: string, positions: PositionsBySource, spooled: number | undefined): InFlightBatch {
    const { store, now } = this.#parts;
    const sequence = store.nextSequence();
    const batch = { sequence, payload: numbered(text, store.epoch(), sequence) };
    store.begin(batch, positions, now(), spooled);
    return batch;
  }

  /** The oldest batch of the spool that is complete. */
  #sealed(): ReturnType<OutboxStore["oldestSpooled"]> {
    const oldest = this.#parts.store.oldestSpooled();
    return oldest?.id === this.#copy?.id ? undefined : oldest;
  }

  /** A damaged one is dropped, or the others would wait behind it for ever. */
  #read({ id, content }: Readonly<{ id: number; content: Uint8Array }>): string | undefined {
    try {
      return inflateRawSync(content).toString();
    } catch (err) {
      this.#parts.store.dropSpooled(id);
      this.#parts.log.error({ err, event: "spool_damaged" }, "a batch of failures was damaged on the disk and is lost");
      return undefined;
    }
  }

  #startAfresh(): void {
    this.#open = new OpenBatch();
    this.#copy = undefined;
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
  }

  #keepSoon(): void {
    this.#keepTimer ??= setTimeout(
      () => {
        this.#keepTimer = undefined;
        this.#keep();
      },
      this.#open.rows > 0 ? keepMs : quietMs,
    );
  }

  /** Nothing more fits in: it waits in the spool, and another one is begun. */
  #seal(): void {
    if (!this.#keep()) this.#lose(this.#open.rows);
    this.#startAfresh();
  }

  /** @returns false when the disk did not take it */
  #keep(): boolean {
    const { store, now, log } = this.#parts;
    const { rows, content } = this.#open;
    try {
      if (rows === 0) {
        store.moveTo(content.positions, now());
        return true;
      }
      const batch = { id: this.#copy?.id, rows, content: deflateRawSync(this.#encodeOpen()) };
      const { id, droppedRows } = store.spool(batch, content.positions, now());
      this.#copy = { id, rows };
      if (droppedRows > 0) this.#lose(droppedRows);
      return true;
    } catch (err) {
      log.error({ problem: messageOf(err), event: "spool_unwritable" }, "could not keep failures on the disk");
      return false;
    }
  }

  #lose(rows: number): void {
    this.#lostRows += rows;
    if (monotonicMs() - this.#saidLostMs < sayAgainMs) return;
    this.#saidLostMs = monotonicMs();
    this.#parts.log.error(
      { lostRows: this.#lostRows, event: "failures_lost" },
      "the disk keeps no more failures of this time without a coordinator: some are dropped and reach none; local bans go on",
    );
  }

  /** As the coordinator will read it, but for its number. */
  #encodeOpen(): string {
    const { failures, localBans } = this.#open.content;
    const place = { epoch: this.#parts.store.epoch(), sequence: Number.MAX_SAFE_INTEGER };
    const text = encodeFailureBatch({ ...place, failures, localBans });
    // Samples are a courtesy; a batch above the limit would cost the connection, again and again.
    if (Buffer.byteLength(text) <= batchBytesMax) return text;
    return encodeFailureBatch({ ...place, failures: failures.map(({ sample: _, ...rest }) => rest), localBans });
  }
}

function numbered(text: string, epoch: string, sequence: number): Uint8Array {
  return new TextEncoder().encode(renumberFailureBatch(text, epoch, sequence));
}
