import type { Readable } from "node:stream";

/** A journal entry with a message of 64 KiB in which each byte is written as a number, and room. */
export const outputLineLengthMax = 1_048_576;

/** The complete lines of each piece that a program writes; a line too long for memory is left out. */
export async function* splitLines(output: Readable): AsyncGenerator<readonly string[]> {
  output.setEncoding("utf8");
  let rest = "";
  let isTooLong = false;
  for await (const piece of output as AsyncIterable<string>) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    if (isTooLong && lines.length > 0) {
      lines.shift();
      isTooLong = false;
    }
    if (rest.length > outputLineLengthMax) isTooLong = true;
    if (isTooLong) rest = "";
    if (lines.length > 0) yield lines;
  }
}
