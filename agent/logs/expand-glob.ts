import { type Dirent, existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

/** Files of one glob; a glob over a directory of uploads must not open them all. */
export const globPathsMax = 1000;

/** What a glob leads to now, sorted; `directories` are those in which a file of it lies or may appear. */
export type Expanded = Readonly<{ paths: readonly string[]; directories: readonly string[]; tooMany: boolean }>;

/**
 * Expands a `logpath` as fail2ban does, that is as Python's `glob`: `*`, `?`, `[a-z]`, `[!a]`; no `**`, no braces; a
 * leading dot must be written. What cannot be listed has no files.
 */
export function expandGlob(glob: string): Expanded {
  if (!/[*?[]/.test(glob)) {
    return { paths: existsSync(glob) ? [glob] : [], directories: existing([dirname(glob)]), tooMany: false };
  }
  const parts = glob.split("/").filter((part) => part !== "");
  let directories = [glob.startsWith("/") ? "/" : "."];
  for (const part of parts.slice(0, -1)) {
    directories = directories.flatMap((directory) => matching(directory, part)).slice(0, globPathsMax);
  }
  directories = existing(directories);
  const paths = directories.flatMap((directory) => matching(directory, parts.at(-1) ?? ""));
  return { paths: paths.slice(0, globPathsMax).sort(), directories, tooMany: paths.length > globPathsMax };
}

function existing(directories: readonly string[]): string[] {
  return directories.filter((directory) => existsSync(directory));
}

function matching(directory: string, part: string): string[] {
  if (!/[*?[]/.test(part)) return existing([join(directory, part)]);
  const pattern = patternOf(part);
  return namesIn(directory)
    .filter((name) => pattern.test(name) && (part.startsWith(".") || !name.startsWith(".")))
    .sort()
    .map((name) => join(directory, name));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter(canBeRead)
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

function canBeRead(entry: Dirent): boolean {
  return entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
}

/** Python's `fnmatch`. Stars in a row are one, so the regex cannot explode. */
function patternOf(part: string): RegExp {
  const source = part.replace(/\*+|\?|\[!?\]?[^\]]*\]|[^*?]/g, (token) => {
    if (token.startsWith("*")) return "[^/]*";
    if (token === "?") return "[^/]";
    if (token.length === 1) return token.replace(/[\\^$.|+(){}[\]/-]/, "\\$&");
    const inside = token
      .slice(1, -1)
      .replaceAll("\\", "\\\\")
      .replace(/^\^/, "\\^")
      .replace(/^!/, "^")
      .replace(/^(\^?)\]/, "$1\\]");
    return `[${inside.replaceAll("[", "\\[")}]`;
  });
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    // `[z-a]`: a set of nothing.
    return /(?!)/;
  }
}
