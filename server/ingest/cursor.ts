import type { Cursor } from "../store/cursors.ts";

export const cursorAtStart: Cursor = { sequence: 0, ahead: [] };

/**
 * How many batches may be waited for. An agent has one in flight per log, so a real gap closes within one resend; an
 * agent that never closes it (its state was restored) must not make its row grow.
 */
export const aheadMax = 64;

export type Step = Readonly<{ kind: "duplicate" } | { kind: "new"; cursor: Cursor; gap: boolean }>;

/** What batch `sequence` is to this cursor. `gap`: something before it has not arrived, and may still come. */
export function advance(cursor: Cursor, sequence: number): Step {
  if (sequence <= cursor.sequence || cursor.ahead.includes(sequence)) return { kind: "duplicate" };
  const ahead = [...cursor.ahead, sequence].toSorted((one, other) => one - other);
  let contiguous = cursor.sequence;
  // Too many are missing: the oldest are given up, so that the later ones still count exactly once.
  if (ahead.length > aheadMax) contiguous = (ahead[0] ?? sequence) - 1;
  while (ahead[0] === contiguous + 1) {
    contiguous += 1;
    ahead.shift();
  }
  return { kind: "new", cursor: { sequence: contiguous, ahead }, gap: sequence > cursor.sequence + 1 };
}
