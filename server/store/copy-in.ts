import { once } from "node:events";
import type { Connection, PoolClient, Submittable } from "pg";

/** pg speaks COPY on the wire; its types leave that part of the connection out. */
type CopyConnection = Connection &
  Readonly<{ sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void; sendCopyFail(why: string): void }>;

/** Bytes given to the socket at a time: PostgreSQL reads on while we still write. */
const chunkBytes = 64 * 1024;
/** Bytes that may wait in our socket until the database takes them. */
const waitingBytesMax = 1024 * 1024;

/** What is copied, in the parts it comes in; a part that fails to come ends the copy, and nothing of it is kept. */
export type CopyParts = Iterable<Buffer> | AsyncIterable<Buffer>;

/** Sends one `copy … from stdin` and its data, and waits until the server has taken all of it. */
export async function copyIn(client: PoolClient, text: string, parts: CopyParts): Promise<void> {
  const copied = Promise.withResolvers<void>();
  client.query(new CopyIn(text, parts, copied));
  await copied.promise;
}

/** What pg calls while the statement is the one being run. */
class CopyIn implements Submittable {
  readonly #text: string;
  readonly #parts: CopyParts;
  readonly #copied: PromiseWithResolvers<void>;
  /** The server has its answer ready, or the connection is gone: no use in sending more. */
  readonly #over = new AbortController();
  #error: Error | undefined;

  constructor(text: string, parts: CopyParts, copied: PromiseWithResolvers<void>) {
    this.#text = text;
    this.#parts = parts;
    this.#copied = copied;
  }

  /** The data follows at once: a server that refuses the statement reads over it. Source: manual, "COPY Operations". */
  submit(connection: Connection): void {
    const copying = connection as CopyConnection;
    copying.query(this.#text);
    void this.#send(copying);
  }

  handleCopyInResponse(): void {
    // It has its data already, or gets it as it comes.
  }

  handleCommandComplete(): void {
    // The answer that counts is the one after it: ready for the next statement.
  }

  handleError(error: Error): void {
    this.#error ??= error;
    this.#over.abort();
    // A connection that is gone never becomes ready.
    this.#copied.reject(this.#error);
  }

  handleReadyForQuery(): void {
    this.#over.abort();
    if (this.#error === undefined) this.#copied.resolve();
  }

  async #send(copying: CopyConnection): Promise<void> {
    const { signal } = this.#over;
    try {
      for await (const part of this.#parts) {
        for (let from = 0; from < part.length && !signal.aborted; from += chunkBytes) {
          copying.sendCopyFromChunk(part.subarray(from, from + chunkBytes));
          if (copying.stream.writableLength > waitingBytesMax) await once(copying.stream, "drain", { signal });
        }
        if (signal.aborted) return;
      }
      if (!signal.aborted) copying.endCopyFrom();
    } catch (error) {
      if (signal.aborted) return;
      // The server's own answer to this says less than what went wrong here.
      this.#error = error instanceof Error ? error : new Error(String(error));
      copying.sendCopyFail("not all of it came");
    }
  }
}
