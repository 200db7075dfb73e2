import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** A line is two numbers of up to 39 digits, an ASN and an organisation's name; the longest of the package has 254 bytes. */
const lineBytesMax = 1024;
/** Below this the rest is read at once. */
const stretchBytes = 4096;

export type RangeLine = Readonly<{ asn: number; organisation: string }>;

/**
 * Finds the range that holds a number in a file of lines `first,last,ASN,organisation`, sorted by `first`. Looks at some
 * twenty places of the file and keeps nothing: half a million ranges in memory would be for a question now and then.
 *
 * @throws what node:fs throws when the file cannot be read
 */
export function findRange(file: string, value: bigint): RangeLine | null {
  const descriptor = openSync(file, "r");
  try {
    let [low, high] = [0, fstatSync(descriptor).size];
    // The line asked for, if there is one, starts at `low` or later and not after `high`.
    while (high - low > stretchBytes) {
      const middle = Math.floor((low + high) / 2);
      const text = read(descriptor, middle, 2 * lineBytesMax);
      const start = text.indexOf("\n") + 1;
      const first = firstOf(text.slice(start));
      if (start === 0 || first === null) return null;
      if (first <= value) low = middle + start;
      else high = middle;
    }
    let found: RangeLine | null = null;
    for (const line of read(descriptor, low, high - low + lineBytesMax).split("\n")) {
      const first = firstOf(line);
      if (first === null || first > value) break;
      found = holding(line, value);
    }
    return found;
  } finally {
    closeSync(descriptor);
  }
}

/** As bytes, so that places stay places; names become text at the end. */
function read(descriptor: number, from: number, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  return buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, bytes, from));
}

function firstOf(line: string): bigint | null {
  const digits = /^(\d{1,39}),/.exec(line)?.[1];
  return digits === undefined ? null : BigInt(digits);
}

function holding(line: string, value: bigint): RangeLine | null {
  const [, last, asn, name = ""] = /^\d+,(\d{1,39}),(\d{1,10}),(.*?)\r?$/.exec(line) ?? [];
  if (last === undefined || BigInt(last) < value) return null;
  const text = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  return { asn: Number(asn), organisation: Buffer.from(text, "latin1").toString("utf8") };
}
