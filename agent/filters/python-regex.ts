import { Fleet2banError } from "../../shared/errors.ts";
import { type EmittedRegex, emitJavaScript } from "./emit-javascript.ts";
import { analyseGroups } from "./group-analysis.ts";
import { parsePythonRegex } from "./python-regex-parser.ts";
import type { RegexTree } from "./python-regex-tree.ts";

/**
 * One Python regex, ready to search. Two compiled forms: the short one for ASCII texts, and one with Python's Unicode
 * classes that is made when the first other text comes.
 */
export class PythonRegex {
  readonly tree: RegexTree;
  /** Capture number of each named group; the same in both forms. */
  readonly groups: ReadonlyMap<string, number>;
  /** Where the translation is known to differ from Python, in a sentence each. */
  readonly warnings: readonly string[];
  readonly #ascii: RegExp;
  #unicode: RegExp | undefined;

  /** @throws Fleet2banError `invalid` naming the construct that Python or we do not support */
  constructor(text: string, options: { multiline: boolean }) {
    this.tree = parsePythonRegex(text, options);
    const emitted = emitJavaScript(this.tree, false);
    this.groups = emitted.groups;
    this.#ascii = compile(emitted);
    this.warnings = analyseGroups(this.tree).forgetful.map(
      (name) => `group "${name}" stands inside a repetition: only text of the last round is kept`,
    );
    // The Unicode form is checked now, so that a regex fails when the jail starts and not when the first ö is logged.
    emitJavaScript(this.tree, true);
  }

  /** The leftmost match of the text, or null. `ascii`: the text holds ASCII characters only. */
  search(text: string, ascii: boolean): RegExpExecArray | null {
    if (ascii) return this.#ascii.exec(text);
    this.#unicode ??= compile(emitJavaScript(this.tree, true));
    return this.#unicode.exec(text);
  }
}

function compile(emitted: EmittedRegex): RegExp {
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
