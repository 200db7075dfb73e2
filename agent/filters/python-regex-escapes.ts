import type { RegexScanner } from "./python-regex-scanner.ts";
import type { ClassLetter, SetItem } from "./python-regex-tree.ts";

const controlEscapes: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const hexDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const unicodeMax = 0x10ffff;

/** `\d`, `\S` …: the class a letter stands for. */
export function isClassLetter(letter: string): letter is ClassLetter {
  return letter.length === 1 && "dDsSwW".includes(letter);
}

/**
 * Reads the escapes that mean one character inside and outside of sets: `\n`, `\x41`, `\.`. The backslash is taken.
 * An unknown ASCII letter or digit is an error, as it is in Python: it may mean something in another dialect.
 */
export function readCharacterEscape(scanner: RegexScanner): number {
  const start = scanner.position - 1;
  if (scanner.ended) return scanner.fail("a backslash at the end", start);
  const letter = scanner.take();
  const control = controlEscapes[letter];
  if (control !== undefined) return control;
  const digits = hexDigits[letter];
  if (digits !== undefined) {
    const found = scanner.match(new RegExp(`[0-9a-fA-F]{${digits}}`, "y"));
    const code = found === null ? Number.NaN : Number.parseInt(found[0], 16);
    return code <= unicodeMax ? code : scanner.fail(`an incomplete \\${letter} escape`, start);
  }
  if (/^[A-Za-z0-9]$/.test(letter)) return scanner.fail(`the escape \\${letter}`, start);
  return letter.codePointAt(0) ?? scanner.fail("an empty escape", start);
}

/** Octal inside a set: up to three digits. */
export function readSetOctal(scanner: RegexScanner): number | undefined {
  const start = scanner.position - 1;
  const digits = scanner.match(/[0-7]{1,3}/y);
  if (digits === null) return undefined;
  const code = Number.parseInt(digits[0], 8);
  return code <= 0o377 ? code : scanner.fail(`the octal escape \\${digits[0]}`, start);
}

/** Octal outside of a set: `\0`, `\07`, or three digits; anything else after a backslash is a group number. */
export function readOctal(scanner: RegexScanner): number | undefined {
  const start = scanner.position - 1;
  const digits = scanner.match(/0[0-7]{0,2}|[1-7][0-7]{2}/y);
  if (digits === null) return undefined;
  const code = Number.parseInt(digits[0], 8);
  return code <= 0o377 ? code : scanner.fail(`the octal escape \\${digits[0]}`, start);
}

/** Reads a set after its `[`: `]` is ordinary when it comes first, and there are no set operations. */
export function readSet(scanner: RegexScanner, ascii: boolean): { negated: boolean; items: SetItem[] } {
  const start = scanner.position - 1;
  const negated = scanner.accept("^");
  const items: SetItem[] = [];
  let first = true;
  while (first || scanner.peek() !== "]") {
    if (scanner.ended) return scanner.fail("a set without its closing bracket", start);
    first = false;
    const from = readSetMember(scanner, ascii);
    const rangeStart = scanner.position;
    if (!scanner.accept("-")) items.push(from);
    else if (scanner.peek() === "]") items.push(from, { kind: "range", from: 45, to: 45 });
    else {
      if (scanner.ended) return scanner.fail("a set without its closing bracket", start);
      const to = readSetMember(scanner, ascii);
      if (from.kind === "class" || to.kind === "class" || to.from < from.from) {
        return scanner.fail("a bad range in a set", rangeStart);
      }
      items.push({ kind: "range", from: from.from, to: to.from });
    }
  }
  scanner.take();
  return { negated, items };
}

function readSetMember(scanner: RegexScanner, ascii: boolean): SetItem {
  const next = scanner.take();
  if (next !== "\\") {
    const code = next.codePointAt(0) ?? 0;
    return { kind: "range", from: code, to: code };
  }
  const letter = scanner.peek();
  if (isClassLetter(letter)) {
    scanner.take();
    return { kind: "class", letter, ascii };
  }
  const code = scanner.accept("b") ? 8 : (readSetOctal(scanner) ?? readCharacterEscape(scanner));
  return { kind: "range", from: code, to: code };
}
