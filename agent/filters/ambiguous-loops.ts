import { childrenOf, type RegexNode, type SetItem } from "./python-regex-tree.ts";

/** Stands for every character beyond ASCII. */
const beyondAscii = 128;
/** Counted repetitions up to here are written out; more rounds behave as endless ones. */
const roundsWrittenOut = 8;
/** A regex of more places, or with a larger knot of loops, is not judged: the watchdog still watches it. */
const placesMax = 2000;
const knotMax = 120;

/** Where a character of the text can be matched: the characters, and what can come next in how many ways. */
type Place = { readonly characters: bigint; readonly next: Map<Place, number> };
type Part = Readonly<{ nullable: boolean; first: readonly Place[]; last: readonly Place[] }>;

const empty: Part = { nullable: true, first: [], last: [] };

/**
 * Whether the regex has a loop that can go round the same text in two ways. On a text that ends up not matching, every
 * round then doubles the time. The classic test: two copies of the regex walk the same text side by side, part, and
 * meet again where they began. Look-arounds are left out, so it may see a way that a look-ahead would close.
 */
export function hasAmbiguousLoop(root: RegexNode): boolean {
  const builder = new PlaceBuilder();
  builder.build(root, false);
  if (builder.places.length > placesMax) return false;
  return knots(builder.places, (place) => place.next.keys()).some(
    (knot) => knot.length <= knotMax && isAmbiguous(knot),
  );
}

/** Glushkov's automaton, which has no empty steps; ways that differ only in such are counted in `next`. */
class PlaceBuilder {
  readonly places: Place[] = [];

  build(node: RegexNode, ignoreCase: boolean): Part {
    if (this.places.length > placesMax) return empty;
    switch (node.kind) {
      case "character":
        return this.#place(charactersOf([{ kind: "range", from: node.code, to: node.code }], false, ignoreCase));
      case "set":
        return this.#place(charactersOf(node.items, node.negated, ignoreCase));
      case "any":
        return this.#place(charactersOf([{ kind: "range", from: 10, to: 10 }], true, false));
      case "sequence":
        return node.items
          .map((item) => () => this.build(item, ignoreCase))
          .reduce((sum, next) => join(sum, next()), empty);
      case "alternatives":
      case "conditional":
        return childrenOf(node)
          .map((child) => this.build(child, ignoreCase))
          .reduce(either);
      case "case":
        return this.build(node.body, node.insensitive);
      case "group":
      case "atomic":
        return this.build(node.body, ignoreCase);
      case "repeat":
        return this.#repeat(node, ignoreCase);
      default:
        return empty;
    }
  }

  #repeat({ body, least, most }: Extract<RegexNode, { kind: "repeat" }>, ignoreCase: boolean): Part {
    if (most === 0) return empty;
    let part: Part = empty;
    if (most <= roundsWrittenOut) {
      for (let round = 0; round < most; round += 1) {
        const next = this.build(body, ignoreCase);
        part = join(part, round < least ? next : { ...next, nullable: true });
      }
      return part;
    }
    part = this.build(body, ignoreCase);
    connect(part.last, part.first);
    return least === 0 ? { ...part, nullable: true } : part;
  }

  #place(characters: bigint): Part {
    const place: Place = { characters, next: new Map() };
    this.places.push(place);
    return { nullable: false, first: [place], last: [place] };
  }
}

function join(one: Part, other: Part): Part {
  connect(one.last, other.first);
  return {
    nullable: one.nullable && other.nullable,
    first: one.nullable ? [...one.first, ...other.first] : one.first,
    last: other.nullable ? [...one.last, ...other.last] : other.last,
  };
}

function either(one: Part, other: Part): Part {
  return {
    nullable: one.nullable || other.nullable,
    first: [...one.first, ...other.first],
    last: [...one.last, ...other.last],
  };
}

function connect(from: readonly Place[], to: readonly Place[]): void {
  for (const one of from) for (const other of to) one.next.set(other, (one.next.get(other) ?? 0) + 1);
}

/** Two ways at once between two places, or two walks that part and meet again. */
function isAmbiguous(knot: readonly Place[]): boolean {
  const inside = new Set(knot);
  for (const place of knot) for (const [next, ways] of place.next) if (ways > 1 && inside.has(next)) return true;
  if (knot.length === 1) return false;
  const pairs = knot.map((one) => knot.map((other) => ({ one, other })));
  const indexOf = new Map(knot.map((place, index) => [place, index]));
  type Pair = (typeof pairs)[number][number];
  const nextOf = function* ({ one, other }: Pair): Generator<Pair> {
    for (const nextOne of one.next.keys()) {
      for (const nextOther of other.next.keys()) {
        if ((nextOne.characters & nextOther.characters) === 0n) continue;
        const pair = pairs[indexOf.get(nextOne) ?? -1]?.[indexOf.get(nextOther) ?? -1];
        if (pair !== undefined) yield pair;
      }
    }
  };
  const together = knot.flatMap((_place, index) => pairs[index]?.[index] ?? []);
  return knots(together, nextOf).some(
    (each) => each.some(({ one, other }) => one === other) && each.some(({ one, other }) => one !== other),
  );
}

/** The groups of nodes that can all reach each other (Tarjan, without recursion), and loops of one node. */
function knots<T>(starts: readonly T[], nextOf: (node: T) => Iterable<T>): T[][] {
  const order = new Map<T, { index: number; low: number; open: boolean }>();
  const open: T[] = [];
  const found: T[][] = [];
  for (const start of starts) {
    if (order.has(start)) continue;
    const enter = (node: T) => {
      const mark = { index: order.size, low: order.size, open: true };
      order.set(node, mark);
      open.push(node);
      return { node, mark, rest: nextOf(node)[Symbol.iterator](), loops: false };
    };
    const path = [enter(start)];
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const step = at.rest.next();
      if (!step.done) {
        const known = order.get(step.value);
        if (step.value === at.node) at.loops = true;
        if (known === undefined) path.push(enter(step.value));
        else if (known.open) at.mark.low = Math.min(at.mark.low, known.index);
        continue;
      }
      path.pop();
      const before = path.at(-1);
      if (before !== undefined) before.mark.low = Math.min(before.mark.low, at.mark.low);
      if (at.mark.low !== at.mark.index) continue;
      const knot = open.splice(open.lastIndexOf(at.node));
      for (const node of knot) {
        const mark = order.get(node);
        if (mark !== undefined) mark.open = false;
      }
      if (knot.length > 1 || at.loops) found.push(knot);
    }
  }
  return found;
}

/** Of what is beyond ASCII, most are letters; its few digits and spaces are left out. */
const classesBeyond = { d: false, D: true, s: false, S: true, w: true, W: true } as const;
const classes = { d: /\d/, D: /\D/, s: /[\t-\r\x1c-\x20]/, S: /[^\t-\r\x1c-\x20]/, w: /\w/, W: /\W/ } as const;

function charactersOf(items: readonly SetItem[], negated: boolean, ignoreCase: boolean): bigint {
  let bits = "";
  for (let code = beyondAscii; code >= 0; code -= 1) {
    const isIn = items.some((item) => holds(item, code, ignoreCase));
    // A negated set leaves out some characters beyond ASCII, hardly all.
    bits += isIn !== negated || (code === beyondAscii && negated) ? "1" : "0";
  }
  return BigInt(`0b${bits}`);
}

function holds(item: SetItem, code: number, ignoreCase: boolean): boolean {
  if (item.kind === "class") {
    return code === beyondAscii ? classesBeyond[item.letter] : classes[item.letter].test(String.fromCharCode(code));
  }
  if (code === beyondAscii) return item.to >= beyondAscii;
  if (code >= item.from && code <= item.to) return true;
  if (!ignoreCase || !/[a-z]/i.test(String.fromCharCode(code))) return false;
  const other = code ^ 0x20;
  return other >= item.from && other <= item.to;
}
