import type { LineClock } from "./found-failure.ts";
import type { Filter } from "./match-line.ts";
import { Scanner } from "./scanner.ts";
import { type OnOutcome, type TimeLimits, type Trouble, Watchdog } from "./watchdog.ts";

export type LogFilters = Readonly<{
  /**
   * Runs a chunk of one log through all filters. Chunks of 256 KiB or more spread the watchdog's cost best.
   *
   * @param chunk      whole lines
   * @param onOutcome  called, in the order of the log, for lines that some filter did not miss
   */
  process(chunk: Buffer, clock: LineClock, onOutcome: OnOutcome): void;
}>;

/** The path of every log line: gate → decode → filter under the watchdog. One per log, with the filters of all its jails. */
export function createLogFilters(
  filters: readonly Filter[],
  options: Readonly<{ report: (trouble: Trouble) => void; gated?: boolean; encoding?: string; limits?: TimeLimits }>,
): LogFilters {
  const scanner = new Scanner(filters, options);
  const watchdog = new Watchdog(options.report, options.limits);
  return {
    process(chunk, clock, onOutcome) {
      const candidates = scanner.scan(chunk, clock);
      watchdog.run(() => candidates.next(), onOutcome);
    },
  };
}
