import type { RegexNode, SetItem } from "./python-regex-tree.ts";

/** ASCII characters, by code. Anything beyond ASCII is always possible. */
export const asciiCount = 128;

/** Which ASCII characters a match can begin with; `nullable`: it can also be empty, so what follows decides. */
type First = Readonly<{ codes: Uint8Array; nullable: boolean }>;

/**
 * The ASCII characters a text can begin with for an anchored regex to match it; null when the regex is not anchored at
 * the start of the text, or matches whatever comes first.
 */
export function firstCharacters(root: RegexNode): Uint8Array | null {
  if (!isAnchored(root)) return null;
  const first = firstOf(root, false);
  return first.nullable ? null : first.codes;
}

/** Whether every match begins at the start of the text. */
function isAnchored(node: RegexNode): boolean {
  switch (node.kind) {
    case "textStart":
      return true;
    case "lineStart":
      return !node.multiline;
    case "sequence":
      return node.items[0] !== undefined && isAnchored(node.items[0]);
    case "group":
    case "case":
    case "atomic":
      return isAnchored(node.body);
    case "alternatives":
      return node.items.every(isAnchored);
    default:
      return false;
  }
}

function firstOf(node: RegexNode, ignoreCase: boolean): First {
  switch (node.kind) {
    case "character":
      return {
        codes: codesOf([{ kind: "range", from: node.code, to: node.code }], false, ignoreCase),
        nullable: false,
      };
    case "set":
      return { codes: codesOf(node.items, node.negated, ignoreCase), nullable: false };
    case "any":
      return { codes: all(), nullable: false };
    case "sequence":
      return firstOfSequence(node.items, ignoreCase);
    case "alternatives":
      return node.items.map((item) => firstOf(item, ignoreCase)).reduce(either);
    case "conditional":
      return either(firstOf(node.yes, ignoreCase), firstOf(node.no, ignoreCase));
    case "group":
    case "atomic":
      return firstOf(node.body, ignoreCase);
    case "case":
      return firstOf(node.body, node.insensitive);
    case "repeat": {
      const first = firstOf(node.body, ignoreCase);
      return { codes: first.codes, nullable: first.nullable || node.least === 0 };
    }
    case "backReference":
      return { codes: all(), nullable: true };
    default:
      return { codes: new Uint8Array(asciiCount), nullable: true };
  }
}

function firstOfSequence(items: readonly RegexNode[], ignoreCase: boolean): First {
  let first: First = { codes: new Uint8Array(asciiCount), nullable: true };
  for (const item of items) {
    first = { ...either(first, firstOf(item, ignoreCase)), nullable: firstOf(item, ignoreCase).nullable };
    if (!first.nullable) return first;
  }
  return first;
}

function either(one: First, other: First): First {
  return {
    codes: one.codes.map((possible, code) => possible | (other.codes[code] ?? 1)),
    nullable: one.nullable || other.nullable,
  };
}

function all(): Uint8Array {
  return new Uint8Array(asciiCount).fill(1);
}

function codesOf(items: readonly SetItem[], negated: boolean, ignoreCase: boolean): Uint8Array {
  // A class is taken for every character: it is only ever a regex too many that is tried.
  if (items.some((item) => item.kind === "class") || (negated && ignoreCase)) return all();
  const codes = new Uint8Array(asciiCount);
  for (const item of items) {
    if (item.kind === "range")
      for (let code = item.from; code <= Math.min(item.to, asciiCount - 1); code += 1) codes[code] = 1;
  }
  if (negated) return codes.map((possible) => 1 - possible);
  if (ignoreCase) {
    // Letters beyond ASCII have relatives in it (K, ſ, ı), so they allow every letter.
    const beyond = items.some((item) => item.kind === "range" && item.to >= asciiCount);
    for (let code = 0x41; code <= 0x5a; code += 1) {
      const possible = beyond || codes[code] === 1 || codes[code + 32] === 1 ? 1 : 0;
      codes[code] = possible;
      codes[code + 32] = possible;
    }
  }
  return codes;
}

/** Finds the regexes worth trying by a text's first character. */
export class FirstCharacterTable<T> {
  readonly #all: readonly T[];
  readonly #byCode: readonly (readonly T[])[];

  /** @param entries  each with what `firstCharacters` says of its regex */
  constructor(entries: readonly Readonly<{ value: T; firsts: Uint8Array | null }>[]) {
    this.#all = entries.map((each) => each.value);
    this.#byCode = Array.from({ length: asciiCount }, (_, code) =>
      entries.flatMap(({ value, firsts }) => (firsts?.[code] === 0 ? [] : [value])),
    );
  }

  /** In their own order. */
  candidates(text: string): readonly T[] {
    return this.#byCode[text.charCodeAt(0)] ?? this.#all;
  }
}
