import { childrenOf, type RegexNode, type RegexTree } from "./python-regex-tree.ts";

/** What the emitter must know about a regex's groups before it starts. */
export type GroupAnalysis = Readonly<{
  /** Groups whose state ("has it matched?") is asked for while it is not certain: they need a probe. */
  probed: ReadonlySet<number>;
  /** Groups a back-reference repeats: they must capture even without a name. */
  repeated: ReadonlySet<number>;
  /** Named groups inside a repetition: Python keeps their last text, JavaScript forgets it with every round. */
  forgetful: readonly string[];
}>;

type Groups = ReadonlySet<number>;

export function analyseGroups(tree: RegexTree): GroupAnalysis {
  const probed = new Set<number>();
  const repeated = new Set<number>();
  /** The groups certainly set after `node`, given those set before it. */
  const walk = (node: RegexNode, before: Groups): Groups => {
    switch (node.kind) {
      case "sequence":
        return node.items.reduce((set, item) => walk(item, set), before);
      case "alternatives":
        return node.items.map((item) => walk(item, before)).reduce((one, other) => one.intersection(other));
      case "group":
        return walk(node.body, before).union(new Set([node.index]));
      case "repeat":
        return node.least > 0 ? walk(node.body, before) : ignoreResult(walk(node.body, before), before);
      case "look":
        return node.negated ? ignoreResult(walk(node.body, before), before) : walk(node.body, before);
      case "backReference":
        repeated.add(node.index);
        if (!before.has(node.index)) probed.add(node.index);
        return before.union(new Set([node.index]));
      case "conditional": {
        probed.add(node.index);
        const yes = walk(node.yes, before.union(new Set([node.index])));
        return yes.intersection(walk(node.no, before));
      }
      case "case":
      case "atomic":
        return walk(node.body, before);
      default:
        return before;
    }
  };
  walk(tree.root, new Set());
  return { probed, repeated, forgetful: [...forgetfulGroups(tree.root, false)] };
}

function ignoreResult(_after: Groups, before: Groups): Groups {
  return before;
}

function* forgetfulGroups(node: RegexNode, repeating: boolean): Generator<string> {
  if (node.kind === "group" && node.name !== null && repeating) yield node.name;
  const inside = repeating || (node.kind === "repeat" && node.most > 1);
  for (const child of childrenOf(node)) yield* forgetfulGroups(child, inside);
}
