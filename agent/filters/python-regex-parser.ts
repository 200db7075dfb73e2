import { isClassLetter, readCharacterEscape, readOctal, readSet } from "./python-regex-escapes.ts";
import { type Flags, RegexScanner } from "./python-regex-scanner.ts";
import type { RegexNode, RegexTree, RepeatMode } from "./python-regex-tree.ts";

/** Groups inside groups. Stock filters stay under 12; the parser and every analysis recurse this deep. */
const nestingMax = 100;
/** Python's own limit is 2^32; V8 refuses large regexes anyway, and a count this high is an attack on the compiler. */
const repeatMax = 65_535;

/**
 * Parses Python's `re` syntax (3.11: with possessive quantifiers and atomic groups).
 *
 * @throws Fleet2banError `invalid` naming the construct and its position when Python would refuse it too, or when it
 *         has no faithful counterpart (`\N{…}`, the locale flag)
 */
export function parsePythonRegex(text: string, options: { multiline: boolean }): RegexTree {
  return new Parser(text, options.multiline).parse();
}

class Parser {
  readonly #scanner: RegexScanner;
  #flags: Flags;
  #nesting = 0;
  #groupCount = 0;
  readonly #names = new Map<string, number>();
  readonly #openGroups = new Set<number>();

  constructor(text: string, multiline: boolean) {
    this.#scanner = new RegexScanner(text);
    this.#flags = { i: false, m: multiline, s: false, x: false, a: false };
  }

  parse(): RegexTree {
    this.#globalFlags();
    const insensitive = this.#flags.i;
    const body = this.#alternatives();
    if (!this.#scanner.ended) this.#scanner.fail("an unbalanced closing parenthesis");
    const root: RegexNode = insensitive ? { kind: "case", insensitive, body } : body;
    return { root, groupCount: this.#groupCount, names: this.#names };
  }

  #globalFlags(): void {
    // More than one such group may stand at the start: `(?i)(?x)`.
    for (let found = this.#flagGroup(); found !== null; found = this.#flagGroup()) {
      this.#flags = this.#withFlags(found[1] ?? "", "");
    }
  }

  #flagGroup(): RegExpExecArray | null {
    return this.#scanner.match(/\(\?([aiLmsux]+)\)/y);
  }

  #withFlags(on: string, off: string): Flags {
    const { i, m, s, x, a } = this.#flags;
    if (on.includes("L")) this.#scanner.fail("the locale flag (?L)");
    if (/[auL]/.test(off)) this.#scanner.fail(`turning off the flag ${off}`);
    const flag = (letter: string, now: boolean) => (on.includes(letter) ? true : off.includes(letter) ? false : now);
    return {
      i: flag("i", i),
      m: flag("m", m),
      s: flag("s", s),
      x: flag("x", x),
      a: on.includes("a") ? true : on.includes("u") ? false : a,
    };
  }

  #alternatives(): RegexNode {
    this.#nesting += 1;
    if (this.#nesting > nestingMax) this.#scanner.fail(`groups nested more than ${nestingMax} deep`);
    const items = [this.#sequence()];
    while (this.#scanner.accept("|")) items.push(this.#sequence());
    this.#nesting -= 1;
    const [only] = items;
    return items.length === 1 && only !== undefined ? only : { kind: "alternatives", items };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (!this.#scanner.ended && this.#scanner.peek() !== "|" && this.#scanner.peek() !== ")") {
      if (this.#flags.x && this.#scanner.match(/\s+|#[^\n]*/y) !== null) continue;
      const start = this.#scanner.position;
      const atom = this.#atom();
      if (atom === null) continue;
      items.push(this.#quantified(atom, start));
    }
    const [only] = items;
    return items.length === 1 && only !== undefined ? only : { kind: "sequence", items };
  }

  /** One item without its quantifier; null for a comment. */
  #atom(): RegexNode | null {
    const start = this.#scanner.position;
    const next = this.#scanner.take();
    switch (next) {
      case ".":
        return { kind: "any", newline: this.#flags.s };
      case "^":
        return { kind: "lineStart", multiline: this.#flags.m };
      case "$":
        return { kind: "lineEnd", multiline: this.#flags.m };
      case "[":
        return { kind: "set", ...readSet(this.#scanner, this.#flags.a) };
      case "(":
        return this.#group(start);
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        return this.#scanner.fail(`the quantifier ${next} without anything to repeat`, start);
      default:
        return { kind: "character", code: next.codePointAt(0) ?? 0 };
    }
  }

  #escape(): RegexNode {
    const start = this.#scanner.position - 1;
    const letter = this.#scanner.peek();
    if (isClassLetter(letter)) {
      this.#scanner.take();
      return { kind: "set", negated: false, items: [{ kind: "class", letter, ascii: this.#flags.a }] };
    }
    if (this.#scanner.accept("A")) return { kind: "textStart" };
    if (this.#scanner.accept("Z")) return { kind: "textEnd" };
    if (this.#scanner.accept("b")) return { kind: "wordBoundary", negated: false, ascii: this.#flags.a };
    if (this.#scanner.accept("B")) return { kind: "wordBoundary", negated: true, ascii: this.#flags.a };
    const octal = readOctal(this.#scanner);
    if (octal !== undefined) return { kind: "character", code: octal };
    const reference = this.#scanner.match(/[1-9][0-9]?/y);
    if (reference !== null) return { kind: "backReference", index: this.#closedGroup(Number(reference[0]), start) };
    return { kind: "character", code: readCharacterEscape(this.#scanner) };
  }

  #closedGroup(index: number, position: number): number {
    if (index < 1 || index > this.#groupCount)
      this.#scanner.fail(`a reference to the missing group ${index}`, position);
    if (this.#openGroups.has(index)) this.#scanner.fail(`a reference to the open group ${index}`, position);
    return index;
  }

  #namedGroup(name: string, position: number): number {
    const index = this.#names.get(name) ?? this.#scanner.fail(`a reference to the missing group "${name}"`, position);
    return this.#closedGroup(index, position);
  }

  #group(start: number): RegexNode | null {
    const scanner = this.#scanner;
    if (!scanner.accept("?")) return this.#capture(null, start);
    if (scanner.accept("P<"))
      return this.#capture(this.#groupName(scanner.takeUntil(">", "a group name"), start), start);
    if (scanner.accept("P="))
      return { kind: "backReference", index: this.#namedGroup(scanner.takeUntil(")", "(?P="), start) };
    if (scanner.accept("#")) {
      scanner.takeUntil(")", "a comment");
      return null;
    }
    if (scanner.accept(":")) return this.#scoped(this.#flags, start);
    if (scanner.accept(">")) return { kind: "atomic", body: this.#scoped(this.#flags, start) };
    if (scanner.accept("=")) return this.#look(false, false, start);
    if (scanner.accept("!")) return this.#look(false, true, start);
    if (scanner.accept("<=")) return this.#look(true, false, start);
    if (scanner.accept("<!")) return this.#look(true, true, start);
    if (scanner.accept("(")) return this.#conditional(start);
    const flags = scanner.match(/([aiLmsux]*)(?:-([aiLmsux]+))?:/y);
    if (flags !== null) return this.#scopedFlags(flags[1] ?? "", flags[2] ?? "", start);
    if (scanner.match(/[aiLmsux]+\)/y) !== null) return scanner.fail("global flags that are not at the start", start);
    return scanner.fail(`the group (?${scanner.peek()}`, start);
  }

  #groupName(name: string, position: number): string {
    if (!isName(name)) this.#scanner.fail(`the group name "${name}"`, position);
    if (this.#names.has(name)) this.#scanner.fail(`a second group named "${name}"`, position);
    return name;
  }

  #capture(name: string | null, start: number): RegexNode {
    this.#groupCount += 1;
    const index = this.#groupCount;
    if (name !== null) this.#names.set(name, index);
    this.#openGroups.add(index);
    const body = this.#scoped(this.#flags, start);
    this.#openGroups.delete(index);
    return { kind: "group", index, name, body };
  }

  /** The rest of a group up to its parenthesis; flags changed inside end with it. */
  #scoped(flags: Flags, start: number): RegexNode {
    const outer = this.#flags;
    this.#flags = flags;
    const body = this.#alternatives();
    if (!this.#scanner.accept(")")) this.#scanner.fail("a group without its closing parenthesis", start);
    this.#flags = outer;
    return body;
  }

  #scopedFlags(on: string, off: string, start: number): RegexNode {
    const flags = this.#withFlags(on, off);
    const body = this.#scoped(flags, start);
    return flags.i === this.#flags.i ? body : { kind: "case", insensitive: flags.i, body };
  }

  #look(behind: boolean, negated: boolean, start: number): RegexNode {
    return { kind: "look", behind, negated, body: this.#scoped(this.#flags, start) };
  }

  #conditional(start: number): RegexNode {
    const reference = this.#scanner.takeUntil(")", "a conditional");
    const index = /^[0-9]+$/.test(reference)
      ? this.#closedGroup(Number(reference), start)
      : this.#namedGroup(reference, start);
    const yes = this.#sequence();
    const no: RegexNode = this.#scanner.accept("|") ? this.#sequence() : { kind: "sequence", items: [] };
    if (this.#scanner.peek() === "|") this.#scanner.fail("a conditional with more than two branches", start);
    if (!this.#scanner.accept(")")) this.#scanner.fail("a conditional without its closing parenthesis", start);
    return { kind: "conditional", index, yes, no };
  }

  #quantified(atom: RegexNode, start: number): RegexNode {
    if (this.#flags.x) this.#scanner.match(/(?:\s+|#[^\n]*)+/y);
    const counts = this.#counts();
    if (counts === null) return atom;
    if (
      atom.kind === "lineStart" ||
      atom.kind === "lineEnd" ||
      atom.kind === "textStart" ||
      atom.kind === "textEnd" ||
      atom.kind === "wordBoundary"
    ) {
      return this.#scanner.fail("a quantifier after an anchor", start);
    }
    const mode: RepeatMode = this.#scanner.accept("?") ? "lazy" : this.#scanner.accept("+") ? "possessive" : "greedy";
    const again = this.#scanner.position;
    if (this.#counts() !== null) this.#scanner.fail("a quantifier after a quantifier", again);
    return { kind: "repeat", least: counts.least, most: counts.most, mode, body: atom };
  }

  /** `*`, `+`, `?`, `{m}`, `{m,}`, `{,n}`, `{m,n}`; a brace that is none of them is an ordinary character. */
  #counts(): { least: number; most: number } | null {
    const scanner = this.#scanner;
    if (scanner.accept("*")) return { least: 0, most: Number.POSITIVE_INFINITY };
    if (scanner.accept("+")) return { least: 1, most: Number.POSITIVE_INFINITY };
    if (scanner.accept("?")) return { least: 0, most: 1 };
    const start = scanner.position;
    const braces = scanner.match(/\{(?:([0-9]+)|([0-9]*),([0-9]*))\}/y);
    if (braces === null) return null;
    const [, exact, from = "", to = ""] = braces;
    const least = Number(exact ?? from);
    const most = exact === undefined ? (to === "" ? Number.POSITIVE_INFINITY : Number(to)) : least;
    if (least > repeatMax || (most > repeatMax && Number.isFinite(most)))
      scanner.fail("a repeat count over 65535", start);
    if (least > most) scanner.fail("a repeat whose least is more than its most", start);
    return { least, most };
  }
}

function isName(text: string): boolean {
  // The second one is built when it is needed: V8 loads Unicode's tables with the first pattern that names a property.
  return /^[A-Za-z_]\w*$/.test(text) || /^[\p{L}_][\p{L}\p{N}_]*$/u.test(text);
}
