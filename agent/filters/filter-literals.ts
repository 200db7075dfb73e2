import { hasEmbeddedEpoch } from "../dates/template.ts";
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
  if (patterns.length === 0) return atWordEdges;
  const splits = patterns.map(splitOf);
  return (text, at) => splits.some((split) => split(text, at));
}

function splitOf(pattern: string): SplitAt {
  if (!/(?<!\\)\((?!\?[^P])/.test(pattern)) return atWordEdges;
  // A group decides what is cut. Right behind a certain character it joins nothing but that to anything. Around an
  // epoch all of the pattern is cut.
  const [, before] = /^(?:[^\\(|]|\\.)*\\([^\w\s])\((?!\?)/.exec(pattern) ?? [];
  if (!hasEmbeddedEpoch(pattern) && before !== undefined) return (text, at) => text.charAt(at - 1) === before;
  // Anywhere else the pattern around it decides whether word edges hold.
  return (text, at) => !isWord(text.charAt(at - 1)) || !isWord(text.charAt(at));
}

/** A cut that begins and ends at a word edge joins two characters of which neither is a word's. */
function atWordEdges(text: string, at: number): boolean {
  return !isWord(text.charAt(at - 1)) && !isWord(text.charAt(at));
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
