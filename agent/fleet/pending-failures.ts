import { batchBytesMax, batchRowsMax, type Failure, type LocalBan } from "../../shared/failure-batch.ts";

/** By log source: up to where the log is covered. Only `logs/` understands a position. */
export type PositionsBySource = ReadonlyMap<string, unknown>;

export type Parcel = Readonly<{
  failures: readonly Failure[];
  localBans: readonly LocalBan[];
  positions: PositionsBySource;
}>;

/** Rows waiting while cut off: 3 MB of memory, and what comes after it is still in the log. */
export const pendingRowsMax = 20_000;
/** Of one row without its address and sample: times, counts, commas. */
const rowBytes = 40;
/** Jail names and the envelope. */
const envelopeBytes = 8_000;

/**
 * Failures waiting for the coordinator, in the order they were read. What was added together stays together: a batch
 * covers whole additions, because a position may only move when everything before it is in.
 */
export class PendingFailures {
  #additions: Parcel[] = [];
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  get empty(): boolean {
    return this.#additions.length === 0;
  }

  /** @returns false when there is no room: nothing of it was taken */
  add(parcel: Parcel): boolean {
    const rows = parcel.failures.length + parcel.localBans.length;
    if (rows > 0 && this.#rows + rows > pendingRowsMax) return false;
    const last = this.#additions.at(-1);
    if (rows === 0 && last !== undefined) {
      // Only the log moved on: no addition of its own, or a quiet log would fill the memory.
      this.#additions[this.#additions.length - 1] = {
        ...last,
        positions: new Map([...last.positions, ...parcel.positions]),
      };
      return true;
    }
    this.#additions.push(parcel);
    this.#rows += rows;
    return true;
  }

  /** Takes as many additions as one batch holds, with equal failures of one second added up. */
  take(): Parcel {
    const failures = new Map<string, Failure>();
    const localBans: LocalBan[] = [];
    const positions = new Map<string, unknown>();
    let bytes = envelopeBytes;
    let taken = 0;
    for (const addition of this.#additions) {
      const fresh = addition.failures.filter((each) => !failures.has(keyOf(each)));
      const rows = failures.size + localBans.length + fresh.length + addition.localBans.length;
      bytes += [...fresh.map(failureBytes), ...addition.localBans.map((ban) => rowBytes + ban.net.length)].reduce(
        (sum, each) => sum + each,
        0,
      );
      // The first always goes: callers add at most as many rows as a batch holds.
      if (taken > 0 && (rows > batchRowsMax || bytes > batchBytesMax)) break;
      for (const each of addition.failures) merge(failures, each);
      localBans.push(...addition.localBans);
      for (const [source, position] of addition.positions) positions.set(source, position);
      taken += 1;
      this.#rows -= addition.failures.length + addition.localBans.length;
    }
    this.#additions = this.#additions.slice(taken);
    return { failures: [...failures.values()], localBans, positions };
  }
}

/** Times are cut to seconds on the wire, so failures of one second are the same there. */
function keyOf({ jail, address, atMs }: Failure): string {
  return `${jail} ${address} ${Math.floor(atMs / 1000)}`;
}

function merge(failures: Map<string, Failure>, failure: Failure): void {
  const key = keyOf(failure);
  const known = failures.get(key);
  failures.set(key, known === undefined ? failure : { ...known, count: known.count + failure.count });
}

/** Of the row as JSON in UTF-8. */
function failureBytes({ address, sample }: Failure): number {
  return rowBytes + address.length + (sample === undefined ? 0 : Buffer.byteLength(JSON.stringify(sample)));
}
