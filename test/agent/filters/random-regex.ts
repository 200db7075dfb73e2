import type { seededRandom } from "./seeded-random.ts";

type Random = ReturnType<typeof seededRandom>;

/** Words are long enough to be literals. */
const words = ["ab1", "bab", "b1a b", "Bb"];
const atoms = [
  ...words,
  "a",
  "b",
  "[ab]",
  "[^a]",
  ".",
  "\\w",
  "\\s",
  "\\d",
  "1",
  " ",
  "\\b",
  "(?=a)",
  "(?!b)",
  "(?<=a)",
  "(?i:B)",
  "\\S",
];
const quantifiers = ["", "", "", "?", "*", "+", "??", "*?", "{2}", "{,2}", "{1,2}"];

/** Groups are named apart by their number; repeated ones hold no group, because there the two languages differ most. */
export function randomRegex(random: Random, depth: number, names = { count: 0 }, groups = true): string {
  const parts = Array.from({ length: 1 + random.below(4) }, () => {
    if (depth === 0 || random.below(3) > 0) return quantified(random, random.pick(atoms));
    const kind = random.below(6);
    if (kind === 0 && groups) {
      names.count += 1;
      return `(?P<g${names.count}>a|b${randomRegex(random, depth - 1, names, groups)})${random.pick(["", "?"])}`;
    }
    if (kind === 1 && names.count > 0 && groups)
      return `(?(g${1 + random.below(names.count)})${random.pick(["a", "b", ""])}|${random.pick(["b", " "])})`;
    if (kind === 2)
      return `(?:${randomRegex(random, depth - 1, names, groups)}|${randomRegex(random, depth - 1, names, groups)})`;
    return `(?:a${randomRegex(random, depth - 1, names, false)})${random.pick(quantifiers)}`;
  });
  return `${random.pick(["", "", "^"])}${parts.join("")}${random.pick(["", "", "$"])}`;
}

function quantified(random: Random, atom: string): string {
  return /^\(\?[=!<]|^\\b/.test(atom) ? atom : atom + random.pick(quantifiers);
}

export function randomText(random: Random): string {
  return `${Array.from({ length: random.below(9) }, () => random.pick(["a", "b", "B", "1", " ", "ö", ...words])).join("")}\n`;
}

/** A repetition of rounds some of which set a group, between what may stand before and behind. */
export function randomLoop(random: Random): string {
  const names = { count: 0 };
  const rounds = Array.from({ length: 1 + random.below(3) }, () => {
    const plain = random.pick(["b", "1", " ", "[ab]", "\\w+", "a1", "(?!b).", ".+?", "(?i:B)", "b(?=a)"]);
    if (random.below(3) === 0) return plain;
    names.count += 1;
    return `${random.pick(["", "b", "a", " "])}(?P<g${names.count}>${plain})${random.pick(["", "", "?", " "])}`;
  });
  const round = `${random.pick(["", "", "a?", "(?!1)"])}(?:${rounds.join("|")})${random.pick(["", "", "b?", " ?"])}`;
  const loop = `(?:${round})${random.pick(["*", "+", "*?", "+?", "*"])}`;
  return `${random.pick(["", "^", "a", "(?P<x>a)?"])}${loop}${random.pick(["", "$", "b", "\\s*$", "(?P<y>1)", "[^1]$"])}`;
}
