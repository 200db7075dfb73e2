import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { secondMs } from "../../shared/durations.ts";
import type { Logger } from "../logger.ts";

/** A hostile agent makes the server write 20 000 lines a second; a person needs the first few. */
const linesPerSpanMax = 20;
const spanMs = 10 * secondMs;
const lineLengthMax = 500;

/**
 * Passes the server's own log on to ours, so many lines per span and then only their number.
 *
 * @param onViolation  called with the public key of a user who tried what he may not, for every such line
 */
export function forwardLines(
  stream: Readable | null,
  log: Logger,
  onViolation: ((publicKey: string) => void) | undefined,
): Readonly<{ last(): string }> {
  let last = "";
  let spanStartMs = 0;
  let lines = 0;
  if (stream === null) return { last: () => last };
  createInterface({ input: stream }).on("line", (whole) => {
    const line = whole.slice(0, lineLengthMax);
    const offender = offenderOf(line);
    if (offender !== undefined) onViolation?.(offender);
    const level = /\[(INF|WRN|ERR|FTL)\]/.exec(line)?.[1];
    if (level === "INF") {
      log.debug({ line, event: "nats_log" }, "nats-server said");
      return;
    }
    last = line;
    const nowMs = performance.now();
    if (nowMs - spanStartMs > spanMs) {
      if (lines > linesPerSpanMax) {
        log.warn({ lines: lines - linesPerSpanMax, event: "nats_log_cut" }, "left out lines of nats-server's log");
      }
      spanStartMs = nowMs;
      lines = 0;
    }
    lines += 1;
    if (lines > linesPerSpanMax) return;
    log.warn({ line, event: "nats_log" }, "nats-server said");
  });
  return { last: () => last };
}

/** `… Publish Violation - JWT User "UABC…" …` → the key. */
function offenderOf(line: string): string | undefined {
  if (!/(Publish|Subscription) Violation/.test(line)) return undefined;
  return /\b(U[A-Z2-7]{55})\b/.exec(line)?.[1];
}
