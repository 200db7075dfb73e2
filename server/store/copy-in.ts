import type { Connection, PoolClient, Submittable } from "pg";

/** pg speaks COPY on the wire; its types leave that part of the connection out. */
type CopyConnection = Connection & Readonly<{ sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }>;

/** Bytes given to the socket at a time: PostgreSQL reads on while we still write. */
const chunkBytes = 64 * 1024;

/** Sends one `copy … from stdin` and its data, and waits until the server has taken all of it. */
export async function copyIn(client: PoolClient, text: string, data: Buffer): Promise<void> {
  const copied = Promise.withResolvers<void>();
  client.query(new CopyIn(text, data, copied));
  await copied.promise;
}

/** What pg calls while the statement is the one being run. */
class CopyIn implements Submittable {
  readonly #text: string;
  readonly #data: Buffer;
  readonly #copied: PromiseWithResolvers<void>;
  #error: Error | undefined;

  constructor(text: string, data: Buffer, copied: PromiseWithResolvers<void>) {
    this.#text = text;
    this.#data = data;
    this.#copied = copied;
  }

  /** The data follows at once: a server that refuses the statement reads over it. Source: manual, "COPY Operations". */
  submit(connection: Connection): void {
    const copying = connection as CopyConnection;
    copying.query(this.#text);
    for (let from = 0; from < this.#data.length; from += chunkBytes) {
      copying.sendCopyFromChunk(this.#data.subarray(from, from + chunkBytes));
    }
    copying.endCopyFrom();
  }

  handleCopyInResponse(): void {
    // It has its data already.
  }

  handleCommandComplete(): void {
    // The answer that counts is the one after it: ready for the next statement.
  }

  handleError(error: Error): void {
    this.#error = error;
    // A connection that is gone never becomes ready.
    this.#copied.reject(error);
  }

  handleReadyForQuery(): void {
    if (this.#error === undefined) this.#copied.resolve();
  }
}
