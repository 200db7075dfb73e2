import type { CompilePython } from "./template.ts";

/**
 * Our own templates use nothing on which Python and V8 differ but the spelling of named groups and the Unicode of
 * `\w`, so two replacements do for them what the translator does for a filter's pattern. Nothing follows their first
 * group, so they need no recorded positions either, which would double the cost of a match.
 */
export const compileBuiltIn: CompilePython = (source, { ignoreCase }) => {
  const spelled = source
    .replaceAll("(?P<", "(?<")
    .replace(/\(\?P=(\w+)\)/g, "\\k<$1>")
    .replaceAll("\\w", "[\\p{L}\\p{N}_]")
    .replaceAll("\\W", "[^\\p{L}\\p{N}_]");
  return new RegExp(spelled, ignoreCase ? "giu" : "gu");
};
