/** Terms of one `journalmatch` line, as the jail has them: `FIELD=value`, a path, or `+` between alternatives. */
export type MatchLines = readonly (readonly string[])[];

/** Alternatives; in each, every field must have one of its values. */
type Alternatives = readonly ReadonlyMap<string, readonly string[]>[];

/** The first value or the values of a journal entry's field. */
export type FieldValues = (field: string) => readonly string[];

export type JournalSelection = Readonly<{
  /** For `journalctl`: what any jail wants; none when one wants everything. */
  terms: readonly string[];
  /** Fields that `jailsOf` asks for. */
  fields: readonly string[];
  jailsOf(valuesOf: FieldValues): readonly string[];
  problems: readonly string[];
}>;

/** Beyond it the kernel's limit on a command line is near, and reading everything is cheaper than so many matches. */
const termsMax = 500;

/**
 * What several jails want of the journal, as one selection: one reader for all of them, because each would map the
 * same files into memory again. A jail without matches wants everything, as in fail2ban.
 */
export function selectFromJournal(matchesByJail: ReadonlyMap<string, MatchLines>): JournalSelection {
  const problems: string[] = [];
  const wanted = new Map<string, Alternatives>();
  for (const [jail, lines] of matchesByJail) {
    const alternatives = lines.flatMap(splitAtPlus).map((terms) => alternativeOf(jail, terms, problems));
    // All of them unusable is not the same as none given: such a jail must not get everybody's lines.
    if (lines.length === 0) wanted.set(jail, [new Map()]);
    else
      wanted.set(
        jail,
        alternatives.filter((each) => each !== undefined && each.size > 0).map((each) => each ?? new Map()),
      );
  }
  const all = [...wanted.values()].flat();
  const groups = new Set(all.map((each) => termsOf(each).join("\n")));
  const terms = [...groups].flatMap((group, index) => [...(index > 0 ? ["+"] : []), ...group.split("\n")]);
  const isEverything = all.some((each) => each.size === 0) || terms.length > termsMax;
  return {
    terms: isEverything ? [] : terms,
    fields: [...new Set(all.flatMap((each) => [...each.keys()]))],
    jailsOf: (valuesOf) =>
      [...wanted].filter(([, alternatives]) => alternatives.some((each) => fits(each, valuesOf))).map(([jail]) => jail),
    problems,
  };
}

function splitAtPlus(terms: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  for (const term of terms) {
    if (term === "+") groups.push([]);
    else groups.at(-1)?.push(term);
  }
  return groups.filter((group) => group.length > 0);
}

/** Undefined when a term is none: nothing of such a line is used, or it would match too much. */
function alternativeOf(jail: string, terms: readonly string[], problems: string[]): Map<string, string[]> | undefined {
  const values = new Map<string, string[]>();
  for (const term of terms) {
    // As journalctl itself reads a path: the program that wrote the entry.
    const [, field, value] = /^([A-Z0-9_]+)=(.*)$/s.exec(term.startsWith("/") ? `_EXE=${term}` : term) ?? [];
    if (field === undefined || value === undefined || /[\n\0]/.test(term)) {
      problems.push(`jail ${jail}: journalmatch "${term}" is not FIELD=value; its line is not used`);
      return undefined;
    }
    values.set(field, [...(values.get(field) ?? []), value]);
  }
  return values;
}

function termsOf(alternative: ReadonlyMap<string, readonly string[]>): string[] {
  return [...alternative].flatMap(([field, values]) => values.map((value) => `${field}=${value}`)).sort();
}

function fits(alternative: ReadonlyMap<string, readonly string[]>, valuesOf: FieldValues): boolean {
  for (const [field, values] of alternative) {
    if (!valuesOf(field).some((value) => values.includes(value))) return false;
  }
  return true;
}
