import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import { compilePython } from "../filters/python-regex.ts";
import { compileBuiltIn } from "./compile-pattern.ts";
import { defaultPatterns, defaultTemplates, fastPatterns } from "./default-templates.ts";
import { type FastForm, iso8601Form, syslogForm } from "./fast-forms.ts";
import {
  type CompilePython,
  cutOf,
  type DateTemplate,
  embeddedEpochTemplate,
  epochTemplate,
  hasEmbeddedEpoch,
  patternTemplate,
  tai64nTemplate,
  withoutBounds,
} from "./template.ts";
import { type FoundTemplate, TemplateList } from "./template-list.ts";
import { parseLogTimezone } from "./zone.ts";

/**
 * The span to cut out of the line, and the time it means. `atMs` is null when the span carries none: an empty span
 * where the date is optional, or one that looks like a date and is not (30 February).
 */
export type FoundDate = Readonly<{ start: number; end: number; atMs: number | null }>;

/** Remembers which form the log uses, so every log needs its own. */
export type DateDetector = Readonly<{ find(line: string, nowMs: number): FoundDate | undefined }>;

export type DateSettings = Readonly<{
  /** One pattern per line; null = the default forms. */
  datePattern: string | null;
  /** For dates without a zone; null = this machine's zone, as `TZ` says. */
  timezone: string | null;
  /** For patterns other than the defaults: they are Python regexes. */
  compile?: CompilePython;
  /** The last year a date may have (by decade); three ahead of now unless told. */
  latestYear?: number;
}>;

/** A log whose clock runs ahead, or an agent that runs through New Year: fail2ban's allowance. */
const yearsAhead = 3;

/** @throws Fleet2banError `invalid` for a pattern or zone that cannot be read */
export function createDateDetector(settings: DateSettings): DateDetector {
  const zone = settings.timezone === null ? null : parseLogTimezone(settings.timezone);
  const latestYear = settings.latestYear ?? new Date().getUTCFullYear() + yearsAhead;
  const templates = readTemplates(settings, latestYear);
  const fastForms = new Map<string, FastForm>([
    [fastPatterns.syslog, syslogForm(zone)],
    [fastPatterns.iso8601, iso8601Form(zone, latestYear)],
  ]);
  const list = new TemplateList(templates);
  const timeOf = rememberingLast(zone);
  return {
    find(line, nowMs) {
      const usual = list.last;
      const fast = usual?.anchored === true ? fastForms.get(usual.name)?.(line, nowMs) : undefined;
      if (fast !== undefined) {
        list.hitLastAgain(nowMs);
        return fast;
      }
      const found = list.find(line, nowMs);
      if (found === undefined) return undefined;
      const [start, end] = cutOf(found.match);
      return { start, end, atMs: start === end ? null : timeOf(found, nowMs) };
    },
  };
}

/** Lines of a busy log share their second, and lines of a batch their now: the same text then means the same time. */
function rememberingLast(zone: number | null) {
  let last: Readonly<{ template?: DateTemplate; text: string; nowMs: number; atMs: number | null }> = {
    text: "",
    nowMs: 0,
    atMs: null,
  };
  return ({ match, template }: FoundTemplate, nowMs: number): number | null => {
    const text = match[0];
    if (last.template !== template || last.text !== text || last.nowMs !== nowMs) {
      // A copy: a part of the line would keep the whole chunk of log in memory.
      const copy = Buffer.from(text).toString();
      last = { template, text: copy, nowMs, atMs: template.timeMs(match, zone, nowMs) };
    }
    return last.atMs;
  };
}

function readTemplates(settings: DateSettings, latestYear: number): readonly DateTemplate[] {
  const templates = new Map<string, DateTemplate>();
  const lines = (settings.datePattern ?? "").split("\n").map((line) => line.trim());
  for (const pattern of lines.filter((line) => line !== "")) {
    try {
      for (const template of readPattern(pattern, settings.compile ?? compilePython, latestYear)) {
        if (!templates.has(template.name)) templates.set(template.name, template);
      }
    } catch (cause) {
      throw new Fleet2banError(
        "invalid",
        `datepattern "${pattern}" cannot be used: ${messageOf(cause)}; correct it, or remove it to use the default dates`,
        { cause },
      );
    }
  }
  return templates.size > 0 ? [...templates.values()] : defaultTemplates(compileBuiltIn, latestYear);
}

function readPattern(pattern: string, compile: CompilePython, latestYear: number): readonly DateTemplate[] {
  // Keywords are read in any case, but only where there is no directive: `%y` and `%Y` differ.
  const key = pattern.includes("%") ? pattern : pattern.toUpperCase();
  if (key === "{^LN-BEG}") return defaultTemplates(compileBuiltIn, latestYear).filter((template) => template.anchored);
  // Alone it means the defaults, because there is nothing else; beside other patterns fail2ban adds nothing for it.
  if (key === "{DEFAULT}") return [];
  if (key === "{NONE}") return [patternTemplate("{UNB}^", { compile: compileBuiltIn, latestYear })];
  if (key.includes("{DATE}")) {
    return defaultPatterns.map((known) => {
      const whole = pattern.replace(/(?<!\\)\{DATE\}/gi, () => withoutBounds(known));
      return namedTemplate(whole, compile, latestYear) ?? patternTemplate(whole, { compile, latestYear });
    });
  }
  return [namedTemplate(pattern, compile, latestYear) ?? patternTemplate(pattern, { compile, latestYear })];
}

/** The patterns that are words instead of directives: `EPOCH`, `LEPOCH`, `TAI64N`, also bound to the line's begin. */
function namedTemplate(pattern: string, compile: CompilePython, latestYear: number): DateTemplate | undefined {
  const key = pattern.includes("%") ? pattern : pattern.toUpperCase();
  if (key.includes("EPOCH") && hasEmbeddedEpoch(pattern)) return embeddedEpochTemplate(pattern, compile);
  const [, begin, word] = /^(\{\^LN-BEG\}|\^)?(L?EPOCH|TAI64N)$/.exec(key) ?? [];
  const lineBegin = begin !== undefined;
  if (word === "TAI64N") return tai64nTemplate({ compile: compileBuiltIn, lineBegin });
  if (word !== undefined) return epochTemplate({ compile: compileBuiltIn, lineBegin, long: word === "LEPOCH" });
  const isOwn = pattern === fastPatterns.iso8601 || pattern === fastPatterns.syslog;
  return isOwn ? patternTemplate(pattern, { compile: compileBuiltIn, latestYear }) : undefined;
}
