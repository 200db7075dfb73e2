/**
 * A regular expression in Python's dialect, as a tree. Flags are resolved while parsing (scoped ones become `case`
 * nodes or the fields below), so a node means the same wherever it stands.
 */
export type RegexNode =
  | Readonly<{ kind: "character"; code: number }>
  | Readonly<{ kind: "any"; newline: boolean }>
  | Readonly<{ kind: "set"; negated: boolean; items: readonly SetItem[] }>
  | Readonly<{ kind: "lineStart" | "lineEnd"; multiline: boolean }>
  | Readonly<{ kind: "textStart" | "textEnd" }>
  | Readonly<{ kind: "wordBoundary"; negated: boolean; ascii: boolean }>
  | Readonly<{ kind: "sequence"; items: readonly RegexNode[] }>
  | Readonly<{ kind: "alternatives"; items: readonly RegexNode[] }>
  | Readonly<{ kind: "group"; index: number; name: string | null; body: RegexNode }>
  | Readonly<{ kind: "case"; insensitive: boolean; body: RegexNode }>
  | Readonly<{ kind: "repeat"; least: number; most: number; mode: RepeatMode; body: RegexNode }>
  | Readonly<{ kind: "look"; behind: boolean; negated: boolean; body: RegexNode }>
  | Readonly<{ kind: "atomic"; body: RegexNode }>
  | Readonly<{ kind: "backReference"; index: number }>
  | Readonly<{ kind: "conditional"; index: number; yes: RegexNode; no: RegexNode }>;

export type RepeatMode = "greedy" | "lazy" | "possessive";

export type SetItem =
  | Readonly<{ kind: "range"; from: number; to: number }>
  | Readonly<{ kind: "class"; letter: ClassLetter; ascii: boolean }>;

/** `\d \s \w` and their opposites. */
export type ClassLetter = "d" | "D" | "s" | "S" | "w" | "W";

export type RegexTree = Readonly<{
  root: RegexNode;
  /** Number of capturing groups, named or not. */
  groupCount: number;
  /** Group index by name, in order of appearance. */
  names: ReadonlyMap<string, number>;
}>;

/** Children of a node, so that analyses need not repeat the cases. */
export function childrenOf(node: RegexNode): readonly RegexNode[] {
  switch (node.kind) {
    case "sequence":
    case "alternatives":
      return node.items;
    case "group":
    case "case":
    case "repeat":
    case "look":
    case "atomic":
      return [node.body];
    case "conditional":
      return [node.yes, node.no];
    default:
      return [];
  }
}

/** The fewest characters a match of this node consumes. */
export function leastWidth(node: RegexNode): number {
  switch (node.kind) {
    case "character":
    case "any":
    case "set":
      return 1;
    case "sequence":
      return node.items.reduce((sum, item) => sum + leastWidth(item), 0);
    case "alternatives":
      return Math.min(...node.items.map(leastWidth));
    case "group":
    case "case":
    case "atomic":
      return leastWidth(node.body);
    case "repeat":
      return node.least * leastWidth(node.body);
    case "conditional":
      return Math.min(leastWidth(node.yes), leastWidth(node.no));
    default:
      return 0;
  }
}
