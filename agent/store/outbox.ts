import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import * as z from "zod/mini";
import { durably, inTransaction } from "./database.ts";
import { type PositionsBySource, writeAcknowledged } from "./positions.ts";

/** One batch on its way: sent again, byte for byte, until the coordinator has acknowledged it. */
export type InFlightBatch = Readonly<{
  sequence: number;
  payload: Uint8Array;
  /** Up to where each log is covered by this and earlier batches. */
  positions: PositionsBySource;
}>;

/**
 * What makes a batch count exactly once. A batch is on the disk before it is first sent, so after a crash the same
 * sequence can never carry other failures; the positions move in the transaction that forgets the batch.
 */
export type OutboxStore = Readonly<{
  /** Names this life of the state directory: the coordinator counts sequences per epoch. */
  epoch(): string;
  /** The sequence the next batch must carry. */
  nextSequence(): number;
  inFlight(): InFlightBatch | undefined;
  /** Keeps the batch; on the disk, also against a power cut, when it returns. One at a time, in sequence. */
  begin(batch: InFlightBatch): void;
  /** Forgets the batch and saves its positions as acknowledged. False when `sequence` is not in flight. */
  acknowledge(sequence: number, nowMs: number): boolean;
  /** A new epoch, starting at sequence 1: the coordinator remembers more of the old one than this (restored) store. */
  renewEpoch(): string;
}>;

const Positions = z.array(z.tuple([z.string(), z.unknown()]));

export function openOutbox(database: DatabaseSync): OutboxStore {
  database.prepare("INSERT OR IGNORE INTO agent VALUES (1, ?, 1)").run(randomEpoch());
  const agent = database.prepare("SELECT epoch, next_sequence FROM agent");
  const setSequence = database.prepare("UPDATE agent SET next_sequence = ?");
  const setEpoch = database.prepare("UPDATE agent SET epoch = ?, next_sequence = 1");
  const find = database.prepare("SELECT sequence, payload, positions FROM in_flight");
  const insert = database.prepare("INSERT INTO in_flight VALUES (?, ?, ?)");
  const clear = database.prepare("DELETE FROM in_flight");
  const nextSequence = () => Number(agent.get()?.next_sequence);

  const inFlight = (): InFlightBatch | undefined => {
    const row = find.get();
    if (row === undefined || !(row.payload instanceof Uint8Array)) return undefined;
    const positions = new Map(Positions.parse(JSON.parse(String(row.positions))));
    return { sequence: Number(row.sequence), payload: row.payload, positions };
  };

  return {
    epoch: () => String(agent.get()?.epoch),
    nextSequence,
    inFlight,
    begin: (batch) =>
      durably(database, () => {
        if (batch.sequence !== nextSequence()) throw new Error(`batch ${batch.sequence} is out of sequence`);
        if (find.get() !== undefined)
          throw new Error(`batch ${batch.sequence} came before the last one was acknowledged`);
        insert.run(batch.sequence, batch.payload, JSON.stringify([...batch.positions]));
        setSequence.run(batch.sequence + 1);
      }),
    acknowledge: (sequence, nowMs) =>
      inTransaction(database, () => {
        const batch = inFlight();
        if (batch?.sequence !== sequence) return false;
        writeAcknowledged(database, batch.positions, nowMs);
        clear.run();
        return true;
      }),
    renewEpoch: () =>
      durably(database, () => {
        const epoch = randomEpoch();
        setEpoch.run(epoch);
        // Its positions were not acknowledged, so its lines are read, and sent, again.
        clear.run();
        return epoch;
      }),
  };
}

/** 96 random bits: two lives of an agent never share an epoch. */
function randomEpoch(): string {
  return randomBytes(12).toString("hex");
}
