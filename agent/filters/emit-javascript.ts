import { Fleet2banError } from "../../shared/errors.ts";
import { caseVariants, withCaseVariants } from "./case-variants.ts";
import { emitSet, escapeCharacter, wordClass } from "./emit-characters.ts";
import { analyseGroups, type GroupAnalysis, type GroupNode, type RepeatNode } from "./group-analysis.ts";
import { childrenOf, leastWidth, type RegexNode, type RegexTree } from "./python-regex-tree.ts";
import type { ForgetfulLoop } from "./recall-groups.ts";

export type EmittedRegex = Readonly<{
  source: string;
  flags: string;
  /** Numbers of the JavaScript groups that hold Python's named groups. Numbered groups spare V8 a `groups` object per match. */
  groups: ReadonlyMap<string, number>;
  /** Repetitions that forget what earlier rounds caught. */
  loops: readonly ForgetfulLoop[];
}>;

/**
 * Writes a parsed Python regex as a JavaScript one that finds the same matches.
 *
 * @param unicode  false: for lines of ASCII only, where `\w \d \s \b` are short ranges; true: for every other line
 * @param options  named: keep every group and its name, for callers that ask by name or position
 * @throws Fleet2banError `invalid` when a construct has no faithful translation
 */
export function emitJavaScript(tree: RegexTree, unicode: boolean, options: { named?: boolean } = {}): EmittedRegex {
  const emitter = new Emitter(analyseGroups(tree), unicode, options.named ?? false);
  const { root } = tree;
  const wholly = root.kind === "case" && !hasCaseNode(root.body);
  const source = emitter.emit(wholly ? root.body : root);
  const groups = new Map<string, number>();
  for (const [name, index] of tree.names) groups.set(name, emitter.captureOf(index));
  return { source, flags: `${wholly ? "i" : ""}${unicode ? "v" : ""}`, groups, loops: emitter.loops };
}

function hasCaseNode(node: RegexNode): boolean {
  return node.kind === "case" || childrenOf(node).some(hasCaseNode);
}

class Emitter {
  readonly #analysis: GroupAnalysis;
  readonly #unicode: boolean;
  readonly #named: boolean;
  readonly loops: ForgetfulLoop[] = [];
  #captureCount = 0;
  readonly #captures = new Map<number, number>();
  readonly #probes = new Map<number, number>();
  #lookBehinds = 0;
  #ignoreCase = false;

  constructor(analysis: GroupAnalysis, unicode: boolean, named: boolean) {
    this.#analysis = analysis;
    this.#unicode = unicode;
    this.#named = named;
  }

  captureOf(index: number): number {
    return this.#captures.get(index) ?? unsupported(`a reference to group ${index}`);
  }

  emit(node: RegexNode): string {
    switch (node.kind) {
      case "character":
        return this.#character(node.code);
      case "any":
        return node.newline ? "[^]" : "[^\\n]";
      case "set":
        return emitSet(this.#ignoreCase ? { ...node, items: withCaseVariants(node.items) } : node, this.#unicode);
      case "lineStart":
        // Never JavaScript's own `m`: it also starts lines at \r, U+2028 and U+2029.
        return node.multiline ? "(?<![^\\n])" : "^";
      case "lineEnd":
        // Python's $ also stands before a final newline, and every line we feed ends with one.
        return node.multiline ? "(?=\\n|$)" : "(?=\\n?$)";
      case "textStart":
        return "^";
      case "textEnd":
        return "$";
      case "wordBoundary":
        return this.#wordBoundary(node.negated, node.ascii);
      case "sequence":
        return node.items.map((item) => this.#emitInSequence(item)).join("");
      case "alternatives":
        return node.items.map((item) => this.emit(item)).join("|");
      case "group":
        return this.#group(node);
      case "case":
        return this.#case(node);
      case "repeat":
        return this.#repeat(node);
      case "look":
        return this.#look(node);
      case "atomic":
        return this.#atomic(node.body);
      case "backReference":
        return this.#backReference(node.index);
      case "conditional":
        return this.#conditional(node);
    }
  }

  /**
   * Letters are spelled out (`[lL]`). V8 13.6 has `(?i:…)`, but was seen to forget it in a running program: after some
   * thousand lines `(?i:LOGIN)` no longer matched `login`.
   */
  #case(node: Extract<RegexNode, { kind: "case" }>): string {
    const outer = this.#ignoreCase;
    this.#ignoreCase = node.insensitive;
    const body = this.emit(node.body);
    this.#ignoreCase = outer;
    return `(?:${body})`;
  }

  #character(code: number): string {
    const variants = this.#ignoreCase ? caseVariants(code) : [];
    if (variants.length < 2) return escapeCharacter(code, this.#unicode);
    const items = variants.map((each) => ({ kind: "range", from: each, to: each }) as const);
    return emitSet({ kind: "set", negated: false, items }, this.#unicode);
  }

  #emitInSequence(node: RegexNode): string {
    return node.kind === "alternatives" ? `(?:${this.emit(node)})` : this.emit(node);
  }

  #wordBoundary(negated: boolean, ascii: boolean): string {
    if (!this.#unicode) return negated ? "\\B" : "\\b";
    const word = `[${wordClass(ascii)}]`;
    return negated
      ? `(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`
      : `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`;
  }

  #group(node: GroupNode): string {
    const captures = this.#named || node.name !== null || this.#analysis.repeated.has(node.index);
    if (captures) {
      this.#captureCount += 1;
      this.#captures.set(node.index, this.#captureCount);
    }
    const probe = this.#probe(node);
    const body = this.emit(node.body);
    const open = !captures ? "?:" : this.#named && node.name !== null ? `?<${node.name}>` : "";
    return `(${open}${probe === "" ? body : `${probe}(?:${body})`})`;
  }

  /**
   * JavaScript cannot ask whether a group is set. The probe remembers everything from the group's start to the end of
   * the text; once the group has consumed a character, that much text can never follow again, so `(?!\probe)` holds
   * exactly when the group is set (an unset back-reference matches the empty text).
   */
  #probe(node: GroupNode): string {
    if (!this.#analysis.probed.has(node.index)) return "";
    if (this.#analysis.forgetful.includes(node)) {
      unsupported(`asking for group ${node.name ?? node.index}, which not every round of a repetition sets,`);
    }
    if (leastWidth(node.body) === 0) {
      unsupported(`asking whether the possibly empty group ${node.name ?? node.index} matched`);
    }
    this.#captureCount += 1;
    this.#probes.set(node.index, this.#captureCount);
    return "(?=([^]*))";
  }

  #repeat(node: RepeatNode): string {
    if (this.#analysis.recalled.has(node)) return this.#recalledRepeat(node);
    return this.#plainRepeat(node);
  }

  /** A repetition whose begin and text are caught, so that its rounds can be gone through once more. */
  #recalledRepeat(node: RepeatNode): string {
    const round = new Emitter(this.#analysis, this.#unicode, false);
    round.#ignoreCase = this.#ignoreCase;
    // The first group of a round is the rest of the text at its begin.
    round.#captureCount = 1;
    const source = round.emit(node.body);
    this.#captureCount += 2;
    const rest = this.#captureCount - 1;
    const loop = this.#plainRepeat(node);
    const groups = [...round.#captures].map(([index, number]) => [this.captureOf(index), number] as const);
    this.loops.push({ rest, round: source, lazy: node.mode === "lazy", groups });
    return `(?=([^]*))(${loop})`;
  }

  #plainRepeat(node: RepeatNode): string {
    if (node.mode === "possessive") return this.#atomic({ ...node, mode: "greedy" });
    const body = this.emit(node.body);
    const unit = node.body.kind === "set" || node.body.kind === "any" || body.length === 1 ? body : `(?:${body})`;
    return `${unit}${countsOf(node.least, node.most)}${node.mode === "lazy" ? "?" : ""}`;
  }

  #look(node: Extract<RegexNode, { kind: "look" }>): string {
    this.#lookBehinds += node.behind ? 1 : 0;
    const body = this.emit(node.body);
    this.#lookBehinds -= node.behind ? 1 : 0;
    return `(?${node.behind ? "<" : ""}${node.negated ? "!" : "="}${body})`;
  }

  /** A look-ahead is never re-entered, so what it captured is atomic; the back-reference consumes it. */
  #atomic(body: RegexNode): string {
    if (this.#lookBehinds > 0) unsupported("an atomic group inside a look-behind");
    this.#captureCount += 1;
    const number = this.#captureCount;
    return `(?:(?=(${this.emit(body)}))\\${number})`;
  }

  #backReference(index: number): string {
    // JavaScript matches look-behinds backwards, so the group would not be set yet.
    if (this.#lookBehinds > 0) unsupported("a back-reference inside a look-behind");
    if (this.#ignoreCase) unsupported("a back-reference inside (?i:…)");
    const probe = this.#probes.get(index);
    return probe === undefined ? `(?:\\${this.captureOf(index)})` : `(?:(?!\\${probe})\\${this.captureOf(index)})`;
  }

  #conditional(node: Extract<RegexNode, { kind: "conditional" }>): string {
    if (this.#lookBehinds > 0) unsupported("a conditional inside a look-behind");
    const probe = this.#probes.get(node.index) ?? unsupported(`asking for group ${node.index} inside itself`);
    const yes = this.#emitInSequence(node.yes);
    return `(?:(?!\\${probe})${yes}|(?=\\${probe})${this.#emitInSequence(node.no)})`;
  }
}

function countsOf(least: number, most: number): string {
  if (most === Number.POSITIVE_INFINITY) return least === 0 ? "*" : least === 1 ? "+" : `{${least},}`;
  if (least === 0 && most === 1) return "?";
  return least === most ? `{${least}}` : `{${least},${most}}`;
}

function unsupported(construct: string): never {
  throw new Fleet2banError("invalid", `regex: ${construct} cannot be translated; write it without`);
}
