import { Fleet2banError } from "../../shared/errors.ts";

/** Longest regex text. Stock filters stay under 4 000 after expansion; a longer one is a mistake or an attack. */
const regexLengthMax = 32_768;

/** Flags as they stand at one place of a regex: ignore case, multi-line, dot matches newline, verbose, ASCII classes. */
export type Flags = Readonly<{ i: boolean; m: boolean; s: boolean; x: boolean; a: boolean }>;

/** Reads a regex character by character and knows how to complain about it. */
export class RegexScanner {
  readonly #text: string;
  position = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.length > regexLengthMax) this.fail(`a regex longer than ${regexLengthMax} characters`, 0);
  }

  get ended(): boolean {
    return this.position >= this.#text.length;
  }

  /** The next character without taking it; empty at the end. Astral characters come whole. */
  peek(): string {
    const code = this.#text.codePointAt(this.position);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  take(): string {
    const next = this.peek();
    this.position += next.length;
    return next;
  }

  /** Takes `text` if it comes next. */
  accept(text: string): boolean {
    if (!this.#text.startsWith(text, this.position)) return false;
    this.position += text.length;
    return true;
  }

  /** Takes what a sticky expression matches here. */
  match(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.position;
    const found = sticky.exec(this.#text);
    if (found !== null) this.position = sticky.lastIndex;
    return found;
  }

  /** Takes up to and with `end`. */
  takeUntil(end: string, construct: string): string {
    const at = this.#text.indexOf(end, this.position);
    if (at < 0) return this.fail(`${construct} without "${end}"`, this.position);
    const text = this.#text.slice(this.position, at);
    this.position = at + end.length;
    return text;
  }

  fail(construct: string, position = this.position): never {
    throw new Fleet2banError(
      "invalid",
      `regex: ${construct} at position ${position} is not supported in: ${this.#text.slice(0, 200)}`,
    );
  }
}
