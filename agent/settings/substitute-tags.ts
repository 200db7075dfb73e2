import { Fleet2banError } from "../../shared/errors.ts";

/** Replacements of one tag in one value; more means that tags feed each other in a circle. */
const replacementsMax = 25;
/** Bound of a value that tags blow up; the longest stock value has some 5 000 characters. */
const textLengthMax = 256 * 1024;
const tag = /<([^ <>]+)>/g;

/**
 * Replaces `<name>` by the value called `name`, innermost first, until nothing changes; so `<rules-<mode>>` becomes
 * `<rules-normal>` and then that value. What has no value stays as it is: `<HOST>`, `<F-USER>`, shell redirections.
 *
 * @param ignored  names that are replaced later, while running
 * @param lookUp   asked for names that are not in `values`
 * @throws Fleet2banError `invalid` when a value refers to itself
 */
export function substituteTags(
  values: ReadonlyMap<string, string>,
  ignored: ReadonlySet<string>,
  lookUp: (name: string) => string | undefined,
  place: string,
): Map<string, string> {
  const result = new Map(values);
  const counts = new Map<string, Map<string, number>>();
  let changed = true;
  while (changed) {
    changed = false;
    for (const [name, value] of result) {
      if (ignored.has(name) || !value.includes("<")) continue;
      const count = counts.get(name) ?? new Map<string, number>();
      counts.set(name, count);
      const find = (inner: string) => (ignored.has(inner) ? undefined : (result.get(inner) ?? lookUp(inner)));
      const replaced = substituteOnce(name, value, find, count, place);
      if (replaced === value) continue;
      result.set(name, replaced);
      changed = true;
    }
  }
  return result;
}

function substituteOnce(
  name: string,
  value: string,
  find: (name: string) => string | undefined,
  count: Map<string, number>,
  place: string,
): string {
  let text = value;
  let from = 0;
  for (;;) {
    tag.lastIndex = from;
    const match = tag.exec(text);
    if (match === null) return text;
    const [whole, inner = ""] = match;
    const replacement = inner === name ? undefined : find(inner);
    const times = count.get(inner) ?? 0;
    if ((inner === name && find(inner) !== undefined) || (replacement !== undefined && times > replacementsMax)) {
      throw new Fleet2banError(
        "invalid",
        `${place}: option "${name}" refers to itself through <${inner}>; break the circle`,
      );
    }
    if (replacement === undefined) {
      from = match.index + whole.length;
      continue;
    }
    count.set(inner, times + 1);
    text = text.replaceAll(whole, () => replacement);
    if (text.length > textLengthMax) {
      throw new Fleet2banError(
        "invalid",
        `${place}: option "${name}" grows beyond ${textLengthMax} characters through <${inner}>`,
      );
    }
    // The replacement may hold tags itself, or complete one around it in the next round.
    from = match.index;
  }
}
