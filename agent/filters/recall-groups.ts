/**
 * A repetition some of whose groups not every round sets: `(?:user=(?P<user>\w+), |\w+=\w+, )*`. Python keeps what the last
 * round that set a group caught; JavaScript forgets it with the next round. Plain data: it is prepared beforehand.
 */
export type ForgetfulLoop = Readonly<{
  /** Capture of the rest of the text from where the repetition begins; the next one is the repetition itself. */
  rest: number;
  /** The regex of one round, which has group 1 reserved. */
  round: string;
  lazy: boolean;
  /** Captures in the whole regex, and in a round. */
  groups: readonly (readonly [whole: number, inRound: number])[];
}>;

/**
 * Gives groups that stayed empty what earlier rounds caught, from the last round backwards.
 *
 * The rounds of a match are, of all ways to reach the repetition's end, the first that the regex tries. A beginning of
 * them is the first way to where it ends. So the last round is found by repeating rounds up to that end, and the one
 * before it up to the last one's begin.
 *
 * @param match  of the regex on `text`; completed in place
 */
export function recallGroups(
  match: RegExpExecArray,
  text: string,
  flags: string,
  loops: readonly ForgetfulLoop[],
): void {
  for (const { rest, round, lazy, groups } of loops) {
    const from = text.length - (match[rest]?.length ?? 0);
    let end = from + (match[rest + 1]?.length ?? 0);
    let missing = groups.filter(([whole]) => match[whole] === undefined);
    while (missing.length > 0 && end > from) {
      const rounds = `(?:(?=([^]*))(?:${round}))${lazy ? "*?" : "*"}`;
      const behind = [...text.slice(end)].length;
      const regex = new RegExp(`${rounds}(?=[^]{${behind}}$)`, `y${flags}`);
      regex.lastIndex = from;
      const found = regex.exec(text);
      if (found?.[1] === undefined) break;
      for (const [whole, inRound] of missing) if (found[inRound] !== undefined) match[whole] = found[inRound];
      missing = missing.filter(([whole]) => match[whole] === undefined);
      end = text.length - found[1].length;
    }
  }
}
