import { Fleet2banError } from "../../shared/errors.ts";
import { Definition } from "./definition.ts";
import type { FilterSettings, UseDns } from "./jail-settings.ts";
import type { ConfigFiles } from "./read-config.ts";
import { parseReference } from "./reference.ts";
import { shellWords } from "./shell-words.ts";

/** The options of a filter that mean something; a jail may set each of them in the filter's place. */
export const filterOptions = [
  "usedns",
  "prefregex",
  "ignoreregex",
  "failregex",
  "maxlines",
  "datepattern",
  "journalmatch",
] as const;

export type FilterOptions = ReadonlyMap<string, string>;

export type OpenFilter = Readonly<{
  name: string;
  definition: Definition;
}>;

/**
 * Finds the filter a jail names and prepares it for reading.
 *
 * @param source  decides the automatic `logtype`, unless the filter or the reference sets one
 * @throws Fleet2banError `invalid` when there is no such filter or a file of it does not parse
 */
export function openFilter(
  files: ConfigFiles,
  referenceText: string,
  source: "file" | "journal",
  place: string,
): OpenFilter {
  const { name, options } = parseReference(referenceText, place);
  const config = files.read(`filter.d/${name}`);
  if (config === undefined) {
    throw new Fleet2banError(
      "invalid",
      `${place}: there is no filter ${files.dir}/filter.d/${name}.conf; add it or correct the name`,
    );
  }
  const definition = new Definition(config, filterOptions, options, `${files.dir}/filter.d/${name}`);
  if ((options.get("logtype") ?? "") === "" && !definition.defines("logtype")) {
    definition.parameters.set("logtype", source);
  }
  return { name, definition };
}

export type ReadFilter = Readonly<{
  settings: FilterSettings;
  useDns: UseDns | null;
  journalMatches: readonly (readonly string[])[];
  warnings: readonly string[];
}>;

/**
 * What the filter and its jail together say. A jail's value replaces the filter's; one given in the reference is
 * added (regexes, journal matches) or wins (everything else but the date pattern), as fail2ban's commands do.
 *
 * @param jail  the jail's own options
 */
export function readFilter(
  filter: OpenFilter,
  jail: FilterOptions,
  source: "file" | "journal",
  place: string,
): ReadFilter {
  filter.definition.read(jail);
  const own = filter.definition.combined();
  const warnings: string[] = [];
  const lines = (option: string) =>
    [own.get(option), jail.get(option)].flatMap((text) => (text ?? "").split("\n")).filter((line) => line !== "");
  const last = (option: string) => own.get(option) ?? jail.get(option);

  const failRegex = lines("failregex");
  const datePattern = jail.get("datepattern") ?? own.get("datepattern");
  const prefRegex = last("prefregex");
  const settings: FilterSettings = {
    name: filter.name,
    prefRegex: prefRegex === undefined || prefRegex === "" ? null : prefRegex,
    failRegex,
    ignoreRegex: lines("ignoreregex"),
    datePattern: datePattern === undefined || datePattern.trim() === "" ? null : datePattern,
    maxLines: readMaxLines(last("maxlines"), place, warnings),
    dateless: source === "journal" || own.get("logtype") === "journal",
  };
  const useDns = readUseDns(last("usedns"), place, warnings);
  const journalMatches = lines("journalmatch").flatMap((line) => alternatives(shellWords(line)));
  return { settings, useDns, journalMatches, warnings };
}

/** Lines a multi-line filter may look back: stock filters need 20, and each line of them is searched again and again. */
const maxLinesMax = 1000;

function readMaxLines(text: string | undefined, place: string, warnings: string[]): number {
  if (text === undefined) return 1;
  const lines = /^\d+$/.test(text.trim()) ? Number(text) : 0;
  if (lines >= 1 && lines <= maxLinesMax) return lines;
  warnings.push(`${place}: maxlines "${text}" is not a number from 1 to ${maxLinesMax}; 1 is used`);
  return 1;
}

function readUseDns(text: string | undefined, place: string, warnings: string[]): UseDns | null {
  if (text === undefined) return null;
  const word = text.trim().toLowerCase();
  if (word === "yes" || word === "warn" || word === "no" || word === "raw") return word;
  const isYes = word === "true" || word === "on" || word === "1";
  if (!isYes && !["false", "off", "0"].includes(word)) {
    warnings.push(`${place}: usedns "${text}" is none of yes, warn, no, raw; no is used`);
  }
  return isYes ? "yes" : "no";
}

/** `A=1 B=2 + C=3` is (A and B) or C. */
function alternatives(terms: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  for (const term of terms) {
    if (term === "+") groups.push([]);
    else groups.at(-1)?.push(term);
  }
  return groups.filter((group) => group.length > 0);
}
