/**
 * Text from outside as PostgreSQL can hold it: it refuses U+0000, and JSON of it half a surrogate pair. One such
 * character must not cost the transaction with everybody else's failures in it.
 */
export function plainText(text: string): string {
  return text.replaceAll("\0", "\uFFFD").toWellFormed();
}
