import { childrenOf, leastWidth, type RegexNode, type RegexTree } from "./python-regex-tree.ts";

/** What the emitter must know about a regex's groups before it starts. */
export type GroupAnalysis = Readonly<{
  /** Groups whose state ("has it matched?") is asked for while it is not certain: they need a probe. */
  probed: ReadonlySet<number>;
  /** Groups a back-reference repeats: they must capture even without a name. */
  repeated: ReadonlySet<number>;
  /** Repetitions some of whose groups not every round sets: what earlier rounds caught can be looked up afterwards. */
  recalled: ReadonlySet<RepeatNode>;
  /** Groups of other such repetitions: Python keeps their last text, JavaScript forgets it with every round. */
  forgetful: readonly GroupNode[];
}>;

export type RepeatNode = Extract<RegexNode, { kind: "repeat" }>;
export type GroupNode = Extract<RegexNode, { kind: "group" }>;

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
  const recalled = new Set<RepeatNode>();
  const forgetful: GroupNode[] = [];
  const visit = (node: RegexNode, looking: boolean): void => {
    if (node.kind !== "repeat" || node.most <= 1) {
      for (const child of childrenOf(node)) visit(child, looking || node.kind === "look");
      return;
    }
    const certain = walk(node.body, new Set());
    const uncertain = groupsOf(node.body).filter((group) => !certain.has(group.index));
    if (uncertain.length === 0) return;
    if (!looking && isRecallable(node) && uncertain.every(({ index }) => !probed.has(index))) recalled.add(node);
    else forgetful.push(...uncertain);
  };
  visit(tree.root, false);
  return { probed, repeated, recalled, forgetful };
}

/** Whether a round can be gone through again by itself, and any number of rounds is a beginning of more rounds. */
function isRecallable({ least, most, body }: RepeatNode): boolean {
  if (least > 1 || most !== Number.POSITIVE_INFINITY || leastWidth(body) === 0) return false;
  const holds = (node: RegexNode): boolean => {
    if (node.kind === "backReference" || node.kind === "conditional") return false;
    if (node.kind === "repeat" && node.most > 1 && groupsOf(node.body).length > 0) return false;
    return childrenOf(node).every(holds);
  };
  return holds(body);
}

function groupsOf(node: RegexNode): readonly GroupNode[] {
  return [...(node.kind === "group" ? [node] : []), ...childrenOf(node).flatMap(groupsOf)];
}

function ignoreResult(_after: Groups, before: Groups): Groups {
  return before;
}
