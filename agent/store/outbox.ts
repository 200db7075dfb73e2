import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { durably, inTransaction } from "./database.ts";
import { type PositionsBySource, writeKept } from "./positions.ts";
import { openSpool, type Spool, type SpooledBatch } from "./spool.ts";

/** One batch on its way: sent again, byte for byte, until the coordinator has acknowledged it. */
export type InFlightBatch = Readonly<{ sequence: number; payload: Uint8Array }>;

/**
 * What makes a batch count exactly once. A batch is on the disk before it is first sent, so after a crash the same
 * sequence can never carry other failures. A log's position moves in the transaction that writes its failures down,
 * here or in the spool, so a restart neither misses one nor reads one again.
 */
export type OutboxStore = Readonly<{
  /** Names this life of the state directory: the coordinator counts sequences per epoch. */
  epoch(): string;
  /** The sequence the next batch must carry. */
  nextSequence(): number;
  inFlight(): InFlightBatch | undefined;
  /**
   * Keeps the batch; on the disk, also against a power cut, when it returns. One at a time, in sequence.
   *
   * @param spooled  what the batch was until now: it leaves the spool in the same moment
   */
  begin(batch: InFlightBatch, positions: PositionsBySource, nowMs: number, spooled?: number): void;
  /** Forgets the batch. False when `sequence` is not in flight. */
  acknowledge(sequence: number): boolean;
  /** A new epoch: the coordinator remembers more of the old one than this (restored) store. What is in flight is its first. */
  renew(payloadFor: (epoch: string) => Uint8Array): InFlightBatch;
  /** See `Spool.put`. */
  spool(
    batch: Parameters<Spool["put"]>[0],
    positions: PositionsBySource,
    nowMs: number,
  ): Readonly<{ id: number; droppedRows: number }>;
  oldestSpooled(): SpooledBatch | undefined;
  dropSpooled(id: number): void;
  /** What waits in the spool. */
  spoolState(): Readonly<{ rows: number; bytes: number }>;
  moveTo(positions: PositionsBySource, nowMs: number): void;
}>;

export function openOutbox(database: DatabaseSync, spool: Spool = openSpool(database)): OutboxStore {
  database.prepare("INSERT OR IGNORE INTO agent VALUES (1, ?, 1)").run(randomEpoch());
  takeOverPositions(database);
  const agent = database.prepare("SELECT epoch, next_sequence FROM agent");
  const setSequence = database.prepare("UPDATE agent SET next_sequence = ?");
  const setEpoch = database.prepare("UPDATE agent SET epoch = ?");
  const find = database.prepare("SELECT sequence, payload FROM in_flight");
  const insert = database.prepare("INSERT INTO in_flight VALUES (?, ?, '[]')");
  const clear = database.prepare("DELETE FROM in_flight");
  const nextSequence = () => Number(agent.get()?.next_sequence);

  const inFlight = (): InFlightBatch | undefined => {
    const row = find.get();
    if (row === undefined || !(row.payload instanceof Uint8Array)) return undefined;
    return { sequence: Number(row.sequence), payload: row.payload };
  };
  /** The spool's own count must not keep what was rolled back. */
  const counted = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      spool.recount();
      throw error;
    }
  };
  const write = ({ sequence, payload }: InFlightBatch): void => {
    insert.run(sequence, payload);
    setSequence.run(sequence + 1);
  };

  return {
    epoch: () => String(agent.get()?.epoch),
    nextSequence,
    inFlight,
    begin: (batch, positions, nowMs, spooled) =>
      counted(() =>
        durably(database, () => {
          if (batch.sequence !== nextSequence()) throw new Error(`batch ${batch.sequence} is out of sequence`);
          if (find.get() !== undefined)
            throw new Error(`batch ${batch.sequence} came before the last one was acknowledged`);
          write(batch);
          if (spooled !== undefined) spool.remove(spooled);
          writeKept(database, positions, nowMs);
        }),
      ),
    acknowledge: (sequence) =>
      inTransaction(database, () => {
        if (inFlight()?.sequence !== sequence) return false;
        clear.run();
        return true;
      }),
    renew: (payloadFor) =>
      durably(database, () => {
        const epoch = randomEpoch();
        const batch = { sequence: 1, payload: payloadFor(epoch) };
        setEpoch.run(epoch);
        clear.run();
        write(batch);
        return batch;
      }),
    spool: (batch, positions, nowMs) =>
      counted(() =>
        inTransaction(database, () => {
          writeKept(database, positions, nowMs);
          return spool.put(batch, nowMs);
        }),
      ),
    oldestSpooled: () => spool.oldest(),
    dropSpooled: (id) => spool.remove(id),
    spoolState: () => spool.state(),
    moveTo: (positions, nowMs) => inTransaction(database, () => writeKept(database, positions, nowMs)),
  };
}

/** An agent of before the spool kept the positions of the batch in flight beside it until the acknowledgement. */
function takeOverPositions(database: DatabaseSync): void {
  const row = database
    .prepare("SELECT positions, saved_ms FROM in_flight, (SELECT max(saved_ms) AS saved_ms FROM positions)")
    .get();
  if (row === undefined || row.positions === "[]") return;
  inTransaction(database, () => {
    writeKept(database, new Map(JSON.parse(String(row.positions)) as [string, unknown][]), Number(row.saved_ms ?? 0));
    database.exec("UPDATE in_flight SET positions = '[]'");
  });
}

/** 96 random bits: two lives of an agent never share an epoch. */
function randomEpoch(): string {
  return randomBytes(12).toString("hex");
}
