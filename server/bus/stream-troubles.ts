import { secondMs } from "../../shared/durations.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Logger } from "../logger.ts";

/** A server that has just come back refuses once or twice; what lasts longer does not mend itself. */
const lastingMs = 5 * secondMs;

/** What keeps partitions of the failure stream from being read: said once, however often it is tried. */
export class StreamTroubles {
  readonly #log: Logger;
  readonly #sinceMs = new Map<number, number>();
  #said: string | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  failed(partition: number, error: unknown, nowMs: number): void {
    if (!this.#sinceMs.has(partition)) this.#sinceMs.set(partition, nowMs);
    const problem = messageOf(error);
    if (problem === this.#said) return;
    this.#said = problem;
    const fields = { err: error, partition, event: "failure_stream_lost" };
    this.#log.warn(fields, "could not read the failure stream; trying again");
  }

  /** This partition is read, or not ours any more. */
  over(partition: number): void {
    if (!this.#sinceMs.delete(partition) || this.#sinceMs.size > 0) return;
    this.#said = undefined;
    this.#log.info({ event: "failure_stream_back" }, "reads the failure stream again");
  }

  /** For an operator, once it lasts. */
  problem(nowMs: number): string | undefined {
    const lasts = [...this.#sinceMs.values()].some((sinceMs) => nowMs - sinceMs >= lastingMs);
    if (!lasts) return undefined;
    return `failures are not taken in, agents keep them: nats-server's JetStream says "${this.#said}"; see its log, or restart it`;
  }
}
