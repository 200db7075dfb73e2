/** Tenants whose figures are kept at once. */
const keptMax = 1000;

/**
 * Answers from memory while the answer is young; whoever asks in the meantime waits for the same question. A failed
 * one is forgotten.
 */
export function remembered<T>(
  lifeMs: number,
  now: () => number,
  load: (tenant: string | null) => Promise<T>,
): (tenant: string | null) => Promise<T> {
  const kept = new Map<string | null, { answer: Promise<T>; atMs: number }>();
  return (tenant) => {
    const nowMs = now();
    const known = kept.get(tenant);
    if (known !== undefined && nowMs - known.atMs < lifeMs) return known.answer;
    const answer = load(tenant);
    if (kept.size >= keptMax) kept.clear();
    kept.set(tenant, { answer, atMs: nowMs });
    answer.catch(() => kept.delete(tenant));
    return answer;
  };
}
