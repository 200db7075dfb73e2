import { once } from "node:events";
import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { copyFailures, copyHeader, copyTrailer, encodeFailures } from "./copy-failures.ts";
import type { FailureRow } from "./failures.ts";
import type { Sql } from "./sql.ts";

/** Rows sent at a time: some 100 KB, and some 5 ms of work on either side. */
const rowsPerPart = 1_000;
/** Parts that may wait until the connection has room: 1 MB, what a whole turn has. */
const partsWaitingMax = 10;

/**
 * One copy of failures, sent while they are still being judged: the database works on a part while the judge works on
 * the next. From the first part to `end` the connection does nothing else.
 */
export class FailureCopy implements AsyncDisposable {
  readonly rows: FailureRow[] = [];
  readonly #sql: Sql;
  readonly #receivedMs: number;
  readonly #may: Promise<void>;
  readonly #parts = new PassThrough({ objectMode: true, highWaterMark: partsWaitingMax });
  #copying: Promise<void> | undefined;

  /** @param may  nothing is sent before */
  constructor(sql: Sql, receivedMs: number, may: Promise<void> = Promise.resolve()) {
    this.#sql = sql;
    this.#receivedMs = receivedMs;
    this.#may = may;
    // Whoever reads the parts hears of it.
    this.#parts.on("error", () => undefined);
  }

  async sendWhenMany(): Promise<void> {
    if (this.rows.length < rowsPerPart) return;
    await this.#send();
    // What else waits for the database goes on, most of all the transaction before.
    await setImmediate();
  }

  /** Sends what is left and waits until the database has all of it. */
  async end(): Promise<void> {
    if (this.rows.length > 0) await this.#send();
    if (this.#copying === undefined) return;
    this.#parts.end(copyTrailer);
    await this.#copying;
  }

  /** Also when the turn breaks: nothing may be under way on its connection when it is rolled back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.destroy(new Error("the transaction was given up"));
    await this.#copying?.catch(() => undefined);
  }

  async #send(): Promise<void> {
    if (this.#copying === undefined) {
      this.#parts.write(copyHeader);
      this.#copying = this.#may.then(() => this.#sql.copyIn(copyFailures, this.#parts));
      // Waited for at the end; until then a failure is nobody's surprise.
      this.#copying.catch(() => undefined);
    }
    const hasRoom = this.#parts.write(encodeFailures(this.rows.splice(0), this.#receivedMs));
    // A copy that failed takes nothing more, and says why.
    if (!hasRoom) await Promise.race([once(this.#parts, "drain"), this.#copying]);
  }
}
