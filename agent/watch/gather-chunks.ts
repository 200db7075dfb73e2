import type { LogChunk } from "../logs/log-chunk.ts";

/** A chunk so large is most often followed by another one at once; a smaller one ends what there is to read. */
const gatheredFromBytes = 32_768;
/** Of one log: the watchdog and the store cost as much per stretch as some hundred lines (measured: 0.2 to 0.9 ms). */
const gatheredBytesMax = 524_288;
/** Of all logs, when many are caught up with at once. */
const allBytesMax = 4 * 1_048_576;
/** What nothing followed after all must not wait; longer than the rests of a log that is caught up with. */
const waitMs = 50;

type Gathered = { chunks: LogChunk[]; bytes: number; timer: NodeJS.Timeout };

/** Puts the chunks of a log that come in quick succession together, in their order; a log that trickles does not wait. */
export class ChunkGatherer {
  readonly #take: (chunk: LogChunk) => Promise<void>;
  readonly #onError: (path: string, error: unknown) => void;
  readonly #byPath = new Map<string, Gathered>();
  readonly #running = new Map<string, Promise<void>>();
  #bytes = 0;

  /** @param take  gets the chunks of one log one after the other */
  constructor(take: (chunk: LogChunk) => Promise<void>, onError: (path: string, error: unknown) => void) {
    this.#take = take;
    this.#onError = onError;
  }

  /** Settled when the next chunk of this log may come; `chunk.lines` is not used after that. */
  async add(chunk: LogChunk): Promise<void> {
    const { path, lines } = chunk;
    const known = this.#byPath.get(path);
    if (known !== undefined && !isAlike(known.chunks[0], chunk)) void this.#flush(path);
    if (lines.length < gatheredFromBytes) {
      this.#keep(chunk, lines);
      await this.#flush(path);
      return;
    }
    // The tail uses its buffer again.
    const gathered = this.#keep(chunk, Buffer.from(lines));
    if (gathered.bytes >= gatheredBytesMax || this.#bytes >= allBytesMax) await this.#flush(path);
  }

  /** Settled when everything gathered has been taken, also what came meanwhile. */
  async flush(): Promise<void> {
    while (this.#byPath.size > 0 || this.#running.size > 0) {
      await Promise.all([...this.#byPath.keys(), ...this.#running.keys()].map((path) => this.#flush(path)));
    }
  }

  #keep(chunk: LogChunk, lines: Buffer): Gathered {
    let gathered = this.#byPath.get(chunk.path);
    if (gathered === undefined) {
      gathered = { chunks: [], bytes: 0, timer: setTimeout(() => void this.#flush(chunk.path), waitMs) };
      this.#byPath.set(chunk.path, gathered);
    }
    gathered.chunks.push({ ...chunk, lines });
    gathered.bytes += lines.length;
    this.#bytes += lines.length;
    return gathered;
  }

  #flush(path: string): Promise<void> {
    const before = this.#running.get(path) ?? Promise.resolve();
    const gathered = this.#byPath.get(path);
    const [first] = gathered?.chunks ?? [];
    if (gathered === undefined || first === undefined) return before;
    clearTimeout(gathered.timer);
    this.#byPath.delete(path);
    this.#bytes -= gathered.bytes;
    const running = before
      .then(() => this.#take(merged(first, gathered.chunks)))
      .catch((error: unknown) => this.#onError(path, error))
      .finally(() => {
        if (this.#running.get(path) === running) this.#running.delete(path);
      });
    this.#running.set(path, running);
    return running;
  }
}

/** Lines that are judged in the same way: on the same clock, by the same jails. */
function isAlike(one: LogChunk | undefined, other: LogChunk): boolean {
  return one?.live === other.live && one.seen === other.seen && one.globs.join("\n") === other.globs.join("\n");
}

function merged(first: LogChunk, chunks: readonly LogChunk[]): LogChunk {
  const last = chunks.at(-1) ?? first;
  if (chunks.length === 1) return first;
  return { ...last, previous: first.previous, lines: Buffer.concat(chunks.map(({ lines }) => lines)) };
}
