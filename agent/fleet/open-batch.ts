import { batchBytesMax, batchRowsMax, type Failure, type LocalBan } from "../../shared/failure-batch.ts";

/** By log source: up to where the log is covered. Only `logs/` understands a position. */
export type PositionsBySource = ReadonlyMap<string, unknown>;

export type Parcel = Readonly<{
  failures: readonly Failure[];
  localBans: readonly LocalBan[];
  positions: PositionsBySource;
}>;

/** Of one row without its address and sample: times, counts, commas. */
const rowBytes = 40;
/** Jail names and the envelope. */
const envelopeBytes = 8_000;

/**
 * The batch that failures are still added to, in the order they were read, equal ones of one second added up. What was
 * added together stays together: a batch covers whole additions, because a position may only move when everything
 * before it is in.
 */
export class OpenBatch {
  readonly #failures = new Map<string, Failure>();
  readonly #localBans: LocalBan[] = [];
  readonly #positions = new Map<string, unknown>();
  #bytes = envelopeBytes;

  get rows(): number {
    return this.#failures.size + this.#localBans.length;
  }

  /** Neither rows nor positions. */
  get empty(): boolean {
    return this.rows === 0 && this.#positions.size === 0;
  }

  get content(): Parcel {
    return { failures: [...this.#failures.values()], localBans: this.#localBans, positions: this.#positions };
  }

  /** Whether it is still one batch with this in it. An empty one takes whatever is at most a batch. */
  fits({ failures, localBans }: Parcel): boolean {
    if (this.rows === 0) return true;
    const fresh = failures.filter((each) => !this.#failures.has(keyOf(each)));
    const bytes = this.#bytes + sizeOf(fresh, localBans);
    return this.rows + fresh.length + localBans.length <= batchRowsMax && bytes <= batchBytesMax;
  }

  add({ failures, localBans, positions }: Parcel): void {
    for (const failure of failures) {
      const key = keyOf(failure);
      const known = this.#failures.get(key);
      if (known === undefined) this.#bytes += failureBytes(failure);
      this.#failures.set(key, known === undefined ? failure : { ...known, count: known.count + failure.count });
    }
    this.#localBans.push(...localBans);
    this.#bytes += sizeOf([], localBans);
    for (const [source, position] of positions) this.#positions.set(source, position);
  }
}

/** Times are cut to seconds on the wire, so failures of one second are the same there. */
function keyOf({ jail, address, atMs }: Failure): string {
  return `${jail} ${address} ${Math.floor(atMs / 1000)}`;
}

function sizeOf(failures: readonly Failure[], localBans: readonly LocalBan[]): number {
  const ofBans = localBans.reduce((sum, { net }) => sum + rowBytes + net.length, 0);
  return failures.reduce((sum, each) => sum + failureBytes(each), ofBans);
}

/** Of the row as JSON in UTF-8. */
function failureBytes({ address, sample }: Failure): number {
  return rowBytes + address.length + (sample === undefined ? 0 : Buffer.byteLength(JSON.stringify(sample)));
}
