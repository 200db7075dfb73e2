import type { FilterSettings } from "../settings/jail-settings.ts";
import type { FilterRegex } from "./filter-regex.ts";
import { type Literal, requiredLiterals } from "./required-literals.ts";

/** Literals of one filter beyond which the gate costs more than it spares. */
const filterLiteralsMax = 200;

/**
 * The literals of which a line needs one to mean anything to the filter; null = every line must be looked at.
 *
 * Multi-line filters need every line, because any may be the first of a failure. So do filters whose date may stand
 * between two letters, because cutting it out makes words that the line does not hold.
 */
export function filterLiterals(parts: {
  settings: FilterSettings;
  prefRegex: FilterRegex | null;
  failRegexes: readonly FilterRegex[];
}): readonly Literal[] | null {
  const { settings, prefRegex, failRegexes } = parts;
  if (settings.maxLines > 1) return null;
  const atDate = splitsOf(settings);
  if (atDate === null) return null;
  // A folded line has other words between `program: ` and its message.
  const splitAt: SplitAt = (text, at) => atDate(text, at) || text.endsWith(": ", at);
  const ofFailRegexes = unionOf(failRegexes.map((each) => requiredLiterals(each.regex.tree.root, splitAt)));
  const ofPrefRegex = prefRegex === null ? null : unionOf([requiredLiterals(prefRegex.regex.tree.root, splitAt)]);
  if (ofFailRegexes === null || ofPrefRegex === null) return ofFailRegexes ?? ofPrefRegex;
  // Both are needed: what is longer stands in fewer lines.
  return shortest(ofPrefRegex) > shortest(ofFailRegexes) ? ofPrefRegex : ofFailRegexes;
}

function shortest(literals: readonly Literal[]): number {
  return Math.min(...literals.map(({ text }) => text.length));
}

type SplitAt = (text: string, at: number) => boolean;

const isWord = (character: string) => /[\w]/.test(character);

/** Where the date's cut can join two parts of a line. */
function splitsOf(settings: FilterSettings): SplitAt | null {
  const patterns = (settings.datePattern ?? "").split("\n").filter((line) => line.trim() !== "");
  // Without word edges a date may stand anywhere.
  if (patterns.some((pattern) => /\{UNB\}|\*\*/i.test(pattern))) return null;
  // A group decides what is cut, and the pattern around it whether word edges hold.
  const ownCut = patterns.some((pattern) => /(?<!\\)\((?!\?[^P])/.test(pattern));
  // Otherwise the cut begins and ends at a word edge: what it joins are two characters of which neither is a word's.
  return ownCut
    ? (text, at) => !isWord(text.charAt(at - 1)) || !isWord(text.charAt(at))
    : (text, at) => !isWord(text.charAt(at - 1)) && !isWord(text.charAt(at));
}

function unionOf(sets: readonly (readonly Literal[] | null)[]): readonly Literal[] | null {
  const union = new Map<string, Literal>();
  for (const set of sets) {
    if (set === null) return null;
    for (const each of set) union.set(`${each.ignoreCase ? "i" : "c"}${each.text}`, each);
  }
  const all = [...union.values()];
  // What contains another literal is found with it.
  const needed = all.filter((each) => !all.some((other) => other !== each && covers(other, each)));
  return needed.length > filterLiteralsMax ? null : needed;
}

/** Whether every line that holds `longer` also holds `shorter`. */
function covers(shorter: Literal, longer: Literal): boolean {
  if (shorter.ignoreCase) return longer.text.toLowerCase().includes(shorter.text.toLowerCase());
  return !longer.ignoreCase && longer.text.includes(shorter.text);
}
