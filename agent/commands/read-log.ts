import { createReadStream } from "node:fs";
import { type Parsed, UsageError } from "../../shared/command-line.ts";
import { secondMs } from "../../shared/durations.ts";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";

/** Spreads the cost per chunk without holding much of the log. */
const chunkBytes = 1024 * 1024;

export const nowOption = {
  now: { value: "EPOCH", help: "the present, in seconds since the epoch (default: the clock)" },
} as const;

/** @throws UsageError when `--now` is not a time */
export function readNowMs(line: Parsed): number {
  const text = line.text("now");
  if (text === undefined) return Date.now();
  if (/^\d{1,11}(\.\d+)?$/.test(text)) return Number(text) * secondMs;
  throw new UsageError(`--now: "${text}" is not a time in seconds since the epoch; write 1124013600`);
}

/**
 * The bytes of a log; `-` is standard input.
 *
 * @throws Fleet2banError `unavailable`
 */
export async function* readLog(log: string): AsyncGenerator<Buffer> {
  try {
    yield* log === "-" ? process.stdin : createReadStream(log, { highWaterMark: chunkBytes });
  } catch (cause) {
    throw new Fleet2banError("unavailable", `${log}: cannot be read: ${messageOf(cause)}; name a log, or - for input`, {
      cause,
    });
  }
}

/** The same, cut behind newlines. In a file a last line without one is still being written, and left out. */
export async function* readWholeLines(log: string): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const part of readLog(log)) {
    const chunk = Buffer.concat([rest, part]);
    const end = chunk.lastIndexOf(10) + 1;
    if (end > 0) yield chunk.subarray(0, end);
    rest = chunk.subarray(end);
  }
  if (log === "-" && rest.length > 0) yield Buffer.concat([rest, Buffer.from("\n")]);
}
