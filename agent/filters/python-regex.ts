import { Fleet2banError } from "../../shared/errors.ts";
import type { PreparedRegex } from "../settings/jail-settings.ts";
import { hasAmbiguousLoop } from "./ambiguous-loops.ts";
import { type EmittedRegex, emitJavaScript } from "./emit-javascript.ts";
import { asciiCount, firstCharacters } from "./first-characters.ts";
import { analyseGroups } from "./group-analysis.ts";
import { parsePythonRegex } from "./python-regex-parser.ts";
import type { RegexNode, RegexTree } from "./python-regex-tree.ts";
import { type ForgetfulLoop, recallGroups } from "./recall-groups.ts";

const ambiguous =
  "a loop in it can go round the same text in two ways, so that some lines take for ever; " +
  "the watchdog stops those, but better give the parts of the loop different beginnings";

type Form = Pick<EmittedRegex, "source" | "flags" | "loops">;

/** How a regex ends that captures the rest of the line, and the same as a look-ahead, at which a match ends. */
const restOfLine = { captured: "([^\\n]+)(?=\\n?$)", ahead: "(?=[^\\n]+\\n?$)" };

/**
 * One Python regex, ready to search. Two compiled forms: the short one for ASCII texts, and one with Python's Unicode
 * classes that is made when the first other text comes.
 */
export class PythonRegex {
  /** Capture number of each named group; the same in both forms. */
  readonly groups: ReadonlyMap<string, number>;
  /** Where the translation is known to differ from Python, or takes too long on some lines, in a sentence each. */
  readonly warnings: readonly string[];
  /** The ASCII characters a match can begin with, by code; null = any. */
  readonly firstCharacters: Uint8Array | null;
  /** Whether all it captures is the rest of the line, as nearly every prefregex: then `restStart` finds that. */
  readonly capturesRest: boolean;
  /** Groups of which only the last round of a repetition is known; of prepared regexes that is known already. */
  readonly forgetful: readonly string[] = [];
  readonly #parse: () => RegexTree;
  readonly #asciiForm: Form;
  #ascii: RegExp | undefined;
  #unicode: RegExp | undefined;
  #unicodeLoops: readonly ForgetfulLoop[] = [];
  #asciiRest: RegExp | undefined;
  #unicodeRest: RegExp | undefined;

  /**
   * @param prepared  what an earlier translation of the same text found; then nothing is parsed until it must be
   * @throws Fleet2banError `invalid` naming the construct that Python or we do not support
   */
  constructor(text: string, options: { multiline: boolean }, prepared?: Omit<PreparedRegex, "text" | "multiline">) {
    this.#parse = () => parsePythonRegex(text, options);
    if (prepared !== undefined) {
      this.groups = new Map(prepared.groups);
      this.warnings = prepared.warnings;
      this.firstCharacters = codesOf(prepared.firstCharacters);
      this.capturesRest = prepared.capturesRest;
      this.#asciiForm = prepared;
      return;
    }
    const tree = this.tree;
    const emitted = emitJavaScript(tree, false);
    this.groups = emitted.groups;
    this.#asciiForm = emitted;
    this.#ascii = compile(emitted);
    this.firstCharacters = firstCharacters(tree.root);
    this.capturesRest = capturesRest(tree) && emitted.source.endsWith(restOfLine.captured);
    this.forgetful = analyseGroups(tree).forgetful.flatMap(({ name }) => name ?? []);
    const forgetful = this.forgetful.map(
      (name) => `group "${name}" stands inside a repetition: only text of the last round is kept`,
    );
    this.warnings = hasAmbiguousLoop(tree.root) ? [...forgetful, ambiguous] : forgetful;
    // The Unicode form is checked now, so that a regex fails when the jail starts and not when the first ö is logged.
    emitJavaScript(tree, true);
  }

  get tree(): RegexTree {
    return this.#parse();
  }

  /** For a later start without parsing. */
  prepared(): Omit<PreparedRegex, "text" | "multiline"> {
    const { groups, warnings, capturesRest } = this;
    const first = this.firstCharacters === null ? null : textOf(this.firstCharacters);
    const { source, flags, loops } = this.#asciiForm;
    return { source, flags, loops, groups: [...groups], warnings, firstCharacters: first, capturesRest };
  }

  /** The leftmost match of the text, or null. `ascii`: the text holds ASCII characters only. */
  search(text: string, ascii: boolean): RegExpExecArray | null {
    if (ascii) {
      this.#ascii ??= compile(this.#asciiForm);
      return found(this.#ascii, text, this.#asciiForm.loops);
    }
    if (this.#unicode === undefined) {
      const emitted = emitJavaScript(this.tree, true);
      this.#unicode = compile(emitted);
      this.#unicodeLoops = emitted.loops;
    }
    return found(this.#unicode, text, this.#unicodeLoops);
  }

  /**
   * Where the rest of the line begins that `capturesRest` speaks of; -1 when the regex does not match. `test` makes
   * neither an array nor a copy of what it found: for a line that fails, a tenth of its time.
   *
   * @param text  one line with its newline
   */
  restStart(text: string, ascii: boolean): number {
    if (ascii) this.#asciiRest ??= compileRest(this.#asciiForm);
    else this.#unicodeRest ??= compileRest(emitJavaScript(this.tree, true));
    const regex = ascii ? this.#asciiRest : this.#unicodeRest;
    if (regex === undefined) return -1;
    regex.lastIndex = 0;
    return regex.test(text) ? regex.lastIndex : -1;
  }
}

function found(regex: RegExp, text: string, loops: readonly ForgetfulLoop[]): RegExpExecArray | null {
  const match = regex.exec(text);
  if (match !== null && loops.length > 0) recallGroups(match, text, regex.flags, loops);
  return match;
}

function capturesRest({ root, names, groupCount }: RegexTree): boolean {
  const whole = root.kind === "case" ? root.body : root;
  if (whole.kind !== "sequence" || groupCount !== 1 || !names.has("content")) return false;
  const [content, end] = whole.items.slice(-2);
  return content?.kind === "group" && isRest(content.body) && end?.kind === "lineEnd" && !end.multiline;
}

function isRest(node: RegexNode): boolean {
  return node.kind === "repeat" && node.mode === "greedy" && node.body.kind === "any";
}

function compileRest({ source, flags }: Pick<EmittedRegex, "source" | "flags">): RegExp {
  return compile({ source: source.slice(0, -restOfLine.captured.length) + restOfLine.ahead, flags: `g${flags}` });
}

function textOf(codes: Uint8Array): string {
  return String.fromCharCode(...[...codes.keys()].filter((code) => codes[code] === 1));
}

function codesOf(text: string | null): Uint8Array | null {
  if (text === null) return null;
  const codes = new Uint8Array(asciiCount);
  for (const character of text) codes[character.charCodeAt(0)] = 1;
  return codes;
}

function compile(emitted: Pick<EmittedRegex, "source" | "flags">): RegExp {
  try {
    return new RegExp(emitted.source, emitted.flags);
  } catch (cause) {
    throw new Fleet2banError("invalid", "regex: too large or too deep to compile; split it into several", { cause });
  }
}

/** A Python regex as a `RegExp` with named groups and their positions, for date patterns that a filter brings. */
export function compilePython(source: string, flags: Readonly<{ ignoreCase: boolean }>): RegExp {
  const tree = parsePythonRegex(flags.ignoreCase ? `(?i)${source}` : source, { multiline: false });
  const emitted = emitJavaScript(tree, true, { named: true });
  return compile({ ...emitted, flags: `dg${emitted.flags}` });
}
