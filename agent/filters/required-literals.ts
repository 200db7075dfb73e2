import { everyday } from "./everyday.ts";
import type { RegexNode } from "./python-regex-tree.ts";

/** Text of which a match needs a copy. `ignoreCase`: in any case. ASCII only, without newline. */
export type Literal = Readonly<{ text: string; ignoreCase: boolean }>;

/** Spellings followed at once: `[iI](?:llegal|nvalid) user` has 4. More cost more than they tell. */
const spellingsMax = 16;
/** Longest literal; longer ones select no better and make the gate larger. */
const literalLengthMax = 24;
/** Shorter literals stand in nearly every line. */
const literalLengthMin = 3;

/** A regex's exact spellings, while they are few: the literals still growing at one place of a sequence. */
type Run = Readonly<{ spellings: readonly string[]; ignoreCase: boolean }>;

/**
 * Literals of which every match of the regex contains at least one, or null when there are none worth looking for.
 * A literal too many only costs time; one that is not really required loses attacks without a trace. So everything
 * that is not certain (optional parts, look-arounds, sets) ends a literal.
 *
 * @param splitAt  whether a literal must be cut before this position: the date may be cut out of a line there, so that
 *                 what the regex sees joined is apart in the line
 */
export function requiredLiterals(
  root: RegexNode,
  splitAt: (text: string, at: number) => boolean,
): readonly Literal[] | null {
  const finder = new LiteralFinder(splitAt);
  return finder.required(root, false);
}

class LiteralFinder {
  readonly #splitAt: (text: string, at: number) => boolean;

  constructor(splitAt: (text: string, at: number) => boolean) {
    this.#splitAt = splitAt;
  }

  required(node: RegexNode, ignoreCase: boolean): readonly Literal[] | null {
    switch (node.kind) {
      case "character":
      case "set":
        return this.#ofRun(spellingsOf(node, ignoreCase), ignoreCase);
      case "sequence":
        return this.#ofSequence(node.items, ignoreCase);
      case "alternatives":
        return this.#anyOf(node.items, ignoreCase);
      case "conditional":
        return this.#anyOf([node.yes, node.no], ignoreCase);
      case "group":
      case "atomic":
        return this.required(node.body, ignoreCase);
      case "case":
        return this.required(node.body, node.insensitive);
      case "repeat":
        return node.least > 0 ? this.required(node.body, ignoreCase) : null;
      default:
        return null;
    }
  }

  #anyOf(nodes: readonly RegexNode[], ignoreCase: boolean): readonly Literal[] | null {
    const all: Literal[] = [];
    for (const node of nodes) {
      const literals = this.required(node, ignoreCase);
      if (literals === null) return null;
      all.push(...literals);
    }
    return all;
  }

  /** The best of: literals inside one item, and runs of neighbouring items with few spellings. */
  #ofSequence(items: readonly RegexNode[], ignoreCase: boolean): readonly Literal[] | null {
    let best: readonly Literal[] | null = null;
    let run: Run | null = null;
    const consider = (literals: readonly Literal[] | null) => {
      if (literals !== null && (best === null || worth(literals) > worth(best))) best = literals;
    };
    for (const item of flatten(items, ignoreCase)) {
      const exact: readonly string[] | null = spellingsOf(item.node, item.ignoreCase);
      const joined: Run | null =
        run !== null && exact !== null && run.ignoreCase === item.ignoreCase ? join(run, exact) : null;
      if (joined !== null) {
        run = joined;
        continue;
      }
      if (run !== null) consider(this.#ofRun(run.spellings, run.ignoreCase));
      run = exact === null ? null : { spellings: exact, ignoreCase: item.ignoreCase };
      if (exact === null) consider(this.required(item.node, item.ignoreCase));
    }
    if (run !== null) consider(this.#ofRun(run.spellings, run.ignoreCase));
    return best;
  }

  #ofRun(spellings: readonly string[] | null, ignoreCase: boolean): readonly Literal[] | null {
    if (spellings === null || spellings.length === 0) return null;
    const literals: Literal[] = [];
    for (const spelling of spellings) {
      const longest = this.#longestPiece(spelling, ignoreCase);
      if (longest.length < literalLengthMin) return null;
      literals.push({ text: longest.slice(0, literalLengthMax), ignoreCase });
    }
    return literals;
  }

  /** The longest piece that stands in the line as it stands in the regex's text. */
  #longestPiece(text: string, ignoreCase: boolean): string {
    let longest = "";
    let piece = "";
    for (let at = 0; at < text.length; at += 1) {
      const character = text.charAt(at);
      if (!usable(character, ignoreCase)) piece = "";
      else piece = piece !== "" && this.#splitAt(text, at) ? character : piece + character;
      if (piece.length > longest.length) longest = piece;
    }
    return longest;
  }
}

/** ASCII without newline. In any case i, k and s have relatives outside of ASCII (ı, K, ſ), so they are not certain. */
function usable(character: string, ignoreCase: boolean): boolean {
  return /^[\x20-\x7e\t]$/.test(character) && !(ignoreCase && /[iks]/i.test(character));
}

/** Groups and nested sequences opened, so that literals run across their borders. */
function* flatten(
  items: readonly RegexNode[],
  ignoreCase: boolean,
): Generator<{ node: RegexNode; ignoreCase: boolean }> {
  for (const node of items) {
    if (node.kind === "sequence") yield* flatten(node.items, ignoreCase);
    else if (node.kind === "group") yield* flatten([node.body], ignoreCase);
    else if (node.kind === "case") yield* flatten([node.body], node.insensitive);
    else yield { node, ignoreCase };
  }
}

/** All texts the node can match, or null when they are many. */
function spellingsOf(node: RegexNode, ignoreCase: boolean): readonly string[] | null {
  switch (node.kind) {
    case "character":
      return [String.fromCodePoint(node.code)];
    case "set":
      return setSpellings(node);
    case "sequence":
      return node.items.reduce<readonly string[] | null>(
        (sum, item) => crossed(sum, spellingsOf(item, ignoreCase)),
        [""],
      );
    case "alternatives":
      return node.items.reduce<readonly string[] | null>((sum, item) => added(sum, spellingsOf(item, ignoreCase)), []);
    case "group":
      return spellingsOf(node.body, ignoreCase);
    case "case":
      return node.insensitive === ignoreCase ? spellingsOf(node.body, ignoreCase) : null;
    case "repeat":
      if (node.least === 1 && node.most === 1) return spellingsOf(node.body, ignoreCase);
      return node.least === 0 && node.most === 1 ? added(spellingsOf(node.body, ignoreCase), [""]) : null;
    default:
      return null;
  }
}

function setSpellings(node: Extract<RegexNode, { kind: "set" }>): readonly string[] | null {
  if (node.negated) return null;
  const spellings: string[] = [];
  for (const item of node.items) {
    if (item.kind === "class" || item.to - item.from >= spellingsMax) return null;
    for (let code = item.from; code <= item.to; code += 1) spellings.push(String.fromCodePoint(code));
  }
  return spellings.length <= spellingsMax ? spellings : null;
}

function crossed(one: readonly string[] | null, other: readonly string[] | null): readonly string[] | null {
  if (one === null || other === null || one.length * other.length > spellingsMax) return null;
  return one.flatMap((first) => other.map((second) => first + second));
}

function added(one: readonly string[] | null, other: readonly string[] | null): readonly string[] | null {
  return one === null || other === null || one.length + other.length > spellingsMax ? null : [...one, ...other];
}

function join(run: Run, exact: readonly string[]): Run | null {
  const spellings = crossed(run.spellings, exact);
  return spellings === null ? null : { spellings, ignoreCase: run.ignoreCase };
}

/** Long literals select better, many cost more, those of any case most, and what stands everywhere selects little. */
function worth(literals: readonly Literal[]): number {
  const shortest = Math.min(...literals.map((each) => each.text.length));
  const anyCase = literals.some((each) => each.ignoreCase) ? 3 : 0;
  const common = literals.some((each) => everyday.includes(each.text.toLowerCase())) ? 5 : 0;
  return Math.min(shortest, 12) - Math.log2(literals.length) - anyCase - common;
}
