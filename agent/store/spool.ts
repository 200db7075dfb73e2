import type { DatabaseSync } from "node:sqlite";
import { dayMs } from "../../shared/durations.ts";

/** A batch without a number yet. What is in it only the outbox understands. */
export type SpooledBatch = Readonly<{ id: number; content: Uint8Array }>;

/** Batches that wait behind the one in flight, oldest first. To be called inside a transaction. */
export type Spool = Readonly<{
  /** Adds a batch, or with `id` writes it anew; drops the oldest ones where there is no room. */
  put(
    batch: Readonly<{ id: number | undefined; rows: number; content: Uint8Array }>,
    nowMs: number,
  ): Readonly<{ id: number; droppedRows: number }>;
  oldest(): SpooledBatch | undefined;
  remove(id: number): void;
  state(): Readonly<{ rows: number; bytes: number }>;
  /** After a transaction that was rolled back. */
  recount(): void;
}>;

/** Compressed, on the disk. Measured: 8 bytes a failure, so four million, a day of nearly fifty a second; no burden to a small VPS. */
export const spoolBytesMax = 32 * 1_048_576;
/** What is older than a day no longer counts for the coordinator, but it explains; a week outlasts any holiday. */
export const spoolAgeMaxMs = 7 * dayMs;

export function openSpool(
  database: DatabaseSync,
  limits: Readonly<{ bytesMax: number; ageMaxMs: number }> = { bytesMax: spoolBytesMax, ageMaxMs: spoolAgeMaxMs },
): Spool {
  const sum = database.prepare(
    "SELECT coalesce(sum(row_count), 0) AS row_count, coalesce(sum(length(content)), 0) AS bytes FROM spool",
  );
  const insert = database.prepare("INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?)");
  const find = database.prepare("SELECT row_count, length(content) AS bytes FROM spool WHERE id = ?");
  const first = database.prepare("SELECT id, content FROM spool ORDER BY id LIMIT 1");
  const firstSize = database.prepare("SELECT id, kept_ms FROM spool ORDER BY id LIMIT 1");
  const clear = database.prepare("DELETE FROM spool WHERE id = ?");
  let total = sizeOf(sum.get());

  const remove = (id: number): number => {
    const { rows, bytes } = sizeOf(find.get(id));
    clear.run(id);
    total = { rows: total.rows - rows, bytes: total.bytes - bytes };
    return rows;
  };
  return {
    put({ id: known, rows, content }, nowMs) {
      if (known !== undefined) remove(known);
      const id = Number(insert.run(known ?? null, rows, nowMs, content).lastInsertRowid);
      total = { rows: total.rows + rows, bytes: total.bytes + content.byteLength };
      let droppedRows = 0;
      for (let oldest = firstSize.get(); oldest !== undefined; oldest = firstSize.get()) {
        const isTooOld = Number(oldest.kept_ms) < nowMs - limits.ageMaxMs;
        if (oldest.id === id || (total.bytes <= limits.bytesMax && !isTooOld)) break;
        droppedRows += remove(Number(oldest.id));
      }
      return { id, droppedRows };
    },
    oldest() {
      const row = first.get();
      return row?.content instanceof Uint8Array ? { id: Number(row.id), content: row.content } : undefined;
    },
    remove: (id) => void remove(id),
    state: () => total,
    recount() {
      total = sizeOf(sum.get());
    },
  };
}

function sizeOf(row: Record<string, unknown> | undefined): Readonly<{ rows: number; bytes: number }> {
  return { rows: Number(row?.row_count ?? 0), bytes: Number(row?.bytes ?? 0) };
}
