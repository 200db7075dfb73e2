import type { Connection, Pool, PoolClient, Submittable } from "pg";

/** pg knows COPY on the wire but has no word for it: the connection's part of its interface that its types leave out. */
type CopyConnection = Connection &
  Readonly<{ query(text: string): void; sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }>;

/** Bytes given to the socket at a time: PostgreSQL reads on while we still write. */
const chunkBytes = 64 * 1024;

/** Sends one `copy … from stdin` and its data, and waits until the server has taken all of it. */
export async function copyIn(client: Pool | PoolClient, text: string, data: Buffer): Promise<void> {
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

  submit(connection: CopyConnection): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    for (let from = 0; from < this.#data.length; from += chunkBytes) {
      connection.sendCopyFromChunk(this.#data.subarray(from, from + chunkBytes));
    }
    connection.endCopyFrom();
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
