import { Fleet2banError } from "../../shared/errors.ts";

/** `name[a=1, b="x,y"][c='q']`: a filter or action and what it is given. */
export type Reference = Readonly<{ name: string; options: ReadonlyMap<string, string> }>;

/**
 * Reads a list of references, divided by blanks and line ends outside of brackets.
 *
 * @param place  named in the error: `/etc/fail2ban/jail.local:3: [sshd] action`
 * @throws Fleet2banError `invalid` when one cannot be read
 */
export function parseReferences(text: string, place: string): Reference[] {
  const scanner = new Scanner(text, place);
  const references: Reference[] = [];
  while (!scanner.atEnd()) references.push(scanner.reference());
  return references;
}

/** Reads the one reference of a jail's `filter`. */
export function parseReference(text: string, place: string): Reference {
  const [reference, ...more] = parseReferences(text, place);
  if (reference === undefined || more.length > 0) {
    throw new Fleet2banError("invalid", `${place}: "${text}" is not one reference; write name[option=value]`);
  }
  return reference;
}

/** Reads options without a name before them, as `ignorecache` has: `key="<F-USER>", max-count=100`. */
export function parseOptions(text: string, place: string): ReadonlyMap<string, string> {
  return parseReference(`options[${text}]`, place).options;
}

class Scanner {
  readonly #text: string;
  readonly #place: string;
  #at = 0;

  constructor(text: string, place: string) {
    this.#text = text;
    this.#place = place;
  }

  atEnd(): boolean {
    this.#take(/\s*/y);
    return this.#at >= this.#text.length;
  }

  reference(): Reference {
    const name = this.#take(/[^\s[\]]+/y) ?? this.#fail("a name");
    const options = new Map<string, string>();
    while (this.#take(/\s*\[/y) !== undefined) this.#group(options);
    if (this.#take(/\s+|$/y) === undefined) this.#fail("a blank or the end");
    return { name, options };
  }

  /** One bracket's options, up to and with its `]`. */
  #group(options: Map<string, string>): void {
    while (this.#take(/\s*\]/y) === undefined) {
      const name = this.#take(/\s*[\w.-]+/y)?.trim() ?? this.#fail("an option's name");
      if (this.#take(/=/y) === undefined) this.#fail(`"=" after "${name}"`);
      // Quoted values have no escapes and may hold the other quote; bare ones end at a comma or bracket.
      const value = this.#take(/"[^"]*"|'[^']*'/y)?.slice(1, -1) ?? this.#take(/[^,\]]*/y) ?? "";
      options.set(name, value.trim());
      if (this.#take(/\s*(?:,|(?=\]))/y) === undefined) this.#fail(`"," or "]" after the value of "${name}"`);
    }
  }

  #take(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(expected: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 40);
    throw new Fleet2banError(
      "invalid",
      `${this.#place}: expected ${expected} at "${rest}"; write name[option="value", other=1]`,
    );
  }
}
