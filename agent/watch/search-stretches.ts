import type { LogChunk } from "../logs/log-chunk.ts";
import { chunkBytesMax } from "../logs/read-chunks.ts";

/** A chunk so large is most often followed by another one at once; a smaller one ends what there is to read. */
const gatheredFromBytes = 32_768;
/** Of one log: the watchdog and the store cost as much per stretch as some hundred lines (measured: 0.2 to 0.9 ms). */
const gatheredBytesMax = 1_048_576;
/** Of all logs, when many are caught up with at once. */
const allBytesMax = 4 * 1_048_576;
/** What nothing followed after all must not wait; longer than the rests of a log that is caught up with. */
const waitMs = 50;

/** What a full buffer needs beyond the maximum: the chunk that fills it. */
const bufferBytes = gatheredBytesMax + chunkBytesMax;
/** Buffers wait here: made anew for every stretch, they would fill the memory until the next full collection. */
const spareBuffers: Buffer[] = [];
const spareBuffersMax = 2;

/** `buffer` null: one chunk alone, in the tail's own buffer. */
type Gathered = { first: LogChunk; last: LogChunk; bytes: number; buffer: Buffer | null; timer: NodeJS.Timeout };

export type StretchSearchParts<Found> = Readonly<{
  /** Searches a stretch, whose lines are not used after that. */
  find: (chunk: LogChunk) => Found;
  /** Gets what was found in one log, one stretch after the other. */
  take: (found: Found) => Promise<void>;
  onError: (path: string, error: unknown) => void;
}>;

/**
 * Puts the chunks of a log that come in quick succession together, in their order; a log that trickles does not wait.
 * While what was found in one stretch is on its way, into the firewall for example, the next one is searched.
 */
export class StretchSearch<Found> {
  readonly #parts: StretchSearchParts<Found>;
  readonly #byPath = new Map<string, Gathered>();
  readonly #running = new Map<string, Promise<void>>();
  #bytes = 0;

  constructor(parts: StretchSearchParts<Found>) {
    this.#parts = parts;
  }

  /** Settled when the next chunk of this log may come; `chunk.lines` is not used after that. */
  async add(chunk: LogChunk): Promise<void> {
    const { path, lines } = chunk;
    const known = this.#byPath.get(path);
    if (known !== undefined && !isAlike(known.first, chunk)) void this.#flush(path);
    const gathered = this.#keep(chunk);
    const before = this.#running.get(path);
    if (lines.length < gatheredFromBytes) await this.#flush(path);
    else if (gathered.bytes >= gatheredBytesMax || this.#bytes >= allBytesMax) {
      void this.#flush(path);
      await before;
    }
  }

  /** Settled when everything gathered has been taken, also what came meanwhile. */
  async flush(): Promise<void> {
    while (this.#byPath.size > 0 || this.#running.size > 0) {
      await Promise.all([...this.#byPath.keys(), ...this.#running.keys()].map((path) => this.#flush(path)));
    }
  }

  #keep(chunk: LogChunk): Gathered {
    const { path, lines } = chunk;
    let gathered = this.#byPath.get(path);
    if (gathered === undefined) {
      // The tail uses its own buffer again when it is told to go on.
      const buffer = lines.length < gatheredFromBytes ? null : takeBuffer();
      const timer = setTimeout(() => void this.#flush(path), waitMs);
      gathered = { first: chunk, last: chunk, bytes: 0, buffer, timer };
      this.#byPath.set(path, gathered);
    }
    if (gathered.buffer !== null) lines.copy(gathered.buffer, gathered.bytes);
    gathered.last = chunk;
    gathered.bytes += lines.length;
    this.#bytes += lines.length;
    return gathered;
  }

  #flush(path: string): Promise<void> {
    const before = this.#running.get(path) ?? Promise.resolve();
    const gathered = this.#byPath.get(path);
    if (gathered === undefined) return before;
    clearTimeout(gathered.timer);
    this.#byPath.delete(path);
    this.#bytes -= gathered.bytes;
    const found = this.#find(path, gathered);
    if (found === undefined) return before;
    const running = before
      .then(() => this.#parts.take(found.found))
      .catch((error: unknown) => this.#parts.onError(path, error))
      .finally(() => {
        if (this.#running.get(path) === running) this.#running.delete(path);
      });
    this.#running.set(path, running);
    return running;
  }

  #find(path: string, { first, last, buffer, bytes }: Gathered): Readonly<{ found: Found }> | undefined {
    const lines = buffer === null ? first.lines : buffer.subarray(0, bytes);
    try {
      return { found: this.#parts.find({ ...last, previous: first.previous, lines }) };
    } catch (error) {
      this.#parts.onError(path, error);
      return undefined;
    } finally {
      if (buffer !== null) giveBackBuffer(buffer);
    }
  }
}

function takeBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
}

function giveBackBuffer(buffer: Buffer): void {
  if (spareBuffers.length < spareBuffersMax) spareBuffers.push(buffer);
}

/** Lines that are judged in the same way: on the same clock, by the same jails. */
function isAlike(one: LogChunk, other: LogChunk): boolean {
  return one.live === other.live && one.seen === other.seen && one.globs.join("\n") === other.globs.join("\n");
}
