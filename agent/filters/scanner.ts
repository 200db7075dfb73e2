import { isAscii } from "node:buffer";
import { TextDecoder } from "node:util";
import { createGate, gateFiltersMax } from "./gate.ts";
import type { Filter } from "./match-line.ts";

/** A line that a filter must see. */
export type Candidate = Readonly<{
  filter: Filter;
  line: string;
  /** The line's byte offset in the chunk. */
  start: number;
  /** Whether the line holds ASCII characters only. */
  ascii: boolean;
}>;

export type Scanner = Readonly<{
  /** @param chunk  whole lines; bytes, or the same bytes as a latin1 string */
  scan(chunk: Buffer | string, onCandidate: (candidate: Candidate) => void): void;
}>;

/** What splits lines is a byte, and the literals are ASCII, so chunks are searched as latin1 and only hits are decoded. */
const beyondAscii = /[\x80-\xff]/;

/**
 * Finds the lines that mean anything to some filter. All filters read the same log, so one pass serves them.
 *
 * @param gated     false: every line is a candidate; the slow reference the gate is tested against
 * @param encoding  `logencoding` as the Encoding Standard names it; anything ASCII-compatible
 */
export function createScanner(
  filters: readonly Filter[],
  options: Readonly<{ gated?: boolean; encoding?: string }> = {},
): Scanner {
  const decoder = new TextDecoder(options.encoding ?? "utf-8");
  const groups = Array.from({ length: Math.ceil(filters.length / gateFiltersMax) }, (_, index) => {
    const members = filters.slice(index * gateFiltersMax, (index + 1) * gateFiltersMax);
    return { members, gate: createGate(members.map((each) => (options.gated === false ? null : each.literals))) };
  });
  return {
    scan(chunk, onCandidate) {
      const ascii = typeof chunk !== "string" && isAscii(chunk);
      const text = typeof chunk === "string" ? chunk : chunk.toString("latin1");
      for (const { members, gate } of groups) {
        gate.scan(text, (start, end, mask) => {
          const bytes = text.slice(start, withoutReturn(text, start, end));
          const isAsciiLine = ascii || !beyondAscii.test(bytes);
          const line = isAsciiLine ? bytes : decoder.decode(Buffer.from(bytes, "latin1"));
          // Lowest bit first, so that filters see a line in the order they were given.
          for (let rest = mask; rest !== 0; rest &= rest - 1) {
            const filter = members[31 - Math.clz32(rest & -rest)];
            if (filter !== undefined) onCandidate({ filter, line, start, ascii: isAsciiLine });
          }
        });
      }
    },
  };
}

/** Lines of Windows programs end with a carriage return too; fail2ban strips all of them. */
function withoutReturn(text: string, start: number, end: number): number {
  while (end > start && text.charCodeAt(end - 1) === 13) end -= 1;
  return end;
}
