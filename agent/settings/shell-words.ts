/** Divides a line into words as a POSIX shell does: blanks, single and double quotes, backslashes; nothing else. */
export function shellWords(line: string): string[] {
  const word = /(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g;
  return (line.match(word) ?? []).map((text) =>
    text.replaceAll(
      /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g,
      (_whole, escaped?: string, double?: string, single?: string) =>
        escaped ?? double?.replaceAll(/\\(["\\])/g, "$1") ?? single ?? "",
    ),
  );
}
