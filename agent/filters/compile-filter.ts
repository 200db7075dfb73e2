import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { createDateDetector } from "../dates/date-detector.ts";
import type { FilterSettings, UseDns } from "../settings/jail-settings.ts";
import { filterLiterals } from "./filter-literals.ts";
import { compileFilterRegex, type FilterRegex, requireIdentity } from "./filter-regex.ts";
import { LineDates } from "./line-date.ts";
import { Filter } from "./match-line.ts";
import { compilePython, type PythonRegex } from "./python-regex.ts";

export type FilterOptions = Readonly<{
  useDns: UseDns;
  /** `logtimezone`; null = this machine's zone. */
  timezone: string | null;
  /** The last year a date may have; unless told, three ahead of now. */
  latestYear?: number;
}>;

/**
 * Prepares a filter for one jail; it remembers dates and connections, so each jail needs its own. A failregex or
 * ignoreregex that cannot be used is left out with a warning, as fail2ban does; the rest still protects.
 *
 * @throws Fleet2banError `invalid` when nothing is left to match, or prefregex or datepattern cannot be used
 */
export function compileFilter(settings: FilterSettings, options: FilterOptions): Filter {
  const { prefRegex, failRegexes, ignoreRegexes, warnings } = compileRegexes(settings, options.useDns);
  const detector = settings.dateless
    ? null
    : createDateDetector({
        datePattern: settings.datePattern,
        timezone: options.timezone,
        compile: compilePython,
        ...(options.latestYear === undefined ? {} : { latestYear: options.latestYear }),
      });
  const { prepared } = settings;
  return new Filter({
    name: settings.name,
    useDns: options.useDns,
    maxLines: settings.maxLines,
    prefRegex,
    failRegexes,
    ignoreRegexes,
    dates: new LineDates(detector),
    literals: prepared ? prepared.literals : filterLiterals({ settings, prefRegex, failRegexes }),
    warnings,
  });
}

/**
 * Translates a filter's regexes for a process that is to run it without doing so: the translator's work costs that one
 * 8 MB, for good.
 *
 * @returns the settings with `prepared`, or as they are when the filter cannot be used: who compiles it hears why
 */
export function prepareFilter(settings: FilterSettings, useDns: UseDns): FilterSettings {
  try {
    const { prefRegex, failRegexes, made } = compileRegexes(settings, useDns);
    const regexes = made.map(({ text, multiline, regex }) => ({ text, multiline, ...regex.prepared() }));
    return { ...settings, prepared: { regexes, literals: filterLiterals({ settings, prefRegex, failRegexes }) } };
  } catch (error) {
    if (error instanceof Fleet2banError) return settings;
    throw error;
  }
}

function compileRegexes(settings: FilterSettings, useDns: UseDns) {
  const warnings: string[] = [];
  const made: Readonly<{ text: string; multiline: boolean; regex: PythonRegex }>[] = [];
  const compile = (text: string, place: string, multiline = false) => {
    const prepared = settings.prepared?.regexes.find((each) => each.text === text && each.multiline === multiline);
    const options = { filter: settings.name, place, names: useDns !== "no", multiline, prepared };
    const compiled = compileFilterRegex(text, options);
    made.push({ text, multiline, regex: compiled.regex });
    return compiled;
  };
  const compileAll = (texts: readonly string[], kind: string, prepare: (text: string, place: string) => FilterRegex) =>
    texts.flatMap((text, index) => {
      if (text.trim() === "") return [];
      try {
        return [prepare(text, `${kind} ${index + 1}`)];
      } catch (error) {
        if (!(error instanceof Fleet2banError)) throw error;
        warnings.push(messageOf(error));
        return [];
      }
    });
  const prefRegex = settings.prefRegex === null ? null : compile(settings.prefRegex, "prefregex");
  const failRegexes = compileAll(settings.failRegex, "failregex", (text, place) => {
    const regex = compile(text, place, settings.maxLines > 1);
    requireIdentity(regex, prefRegex);
    return regex;
  });
  if (failRegexes.length === 0) {
    const reason = warnings.length > 0 ? `: ${warnings.join("; ")}` : "; add a failregex";
    throw new Fleet2banError("invalid", `filter "${settings.name}": no usable failregex${reason}`);
  }
  const ignoreRegexes = compileAll(settings.ignoreRegex, "ignoreregex", (text, place) => compile(text, place));
  for (const each of [...(prefRegex === null ? [] : [prefRegex]), ...failRegexes, ...ignoreRegexes]) {
    warnings.push(...each.regex.warnings.map((warning) => `${each.place}: ${warning}`));
  }
  return { prefRegex, failRegexes, ignoreRegexes, warnings, made };
}
