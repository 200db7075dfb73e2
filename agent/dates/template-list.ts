import { minuteMs } from "../../shared/durations.ts";
import type { DateTemplate } from "./template.ts";

type Entry = {
  readonly template: DateTemplate;
  /** Lines this template matched, also when another one won. */
  matches: number;
  /** Lines it won. */
  hits: number;
  lastUsedMs: number;
  /** How far from the line's start it last won. */
  distance: number;
};

type Candidate = Readonly<{ match: RegExpExecArray; index: number }>;
export type FoundTemplate = Readonly<{ match: RegExpExecArray; template: DateTemplate }>;

/** A template not used for this long gives its place to one that is. */
const unusedMs = 5 * minuteMs;
const nowhere = Number.MAX_SAFE_INTEGER;

/**
 * Templates in the order they are tried, which learns: what matched last is tried first, what wins often moves up.
 * The rules are fail2ban's to the letter, because they decide which of several dates in a line is cut out, and the
 * regexes of a filter see what the cut leaves.
 */
export class TemplateList {
  readonly #entries: Entry[];
  #lastIndex = nowhere;
  #firstUnused = 0;
  /** Where the last date was, and the characters outside and inside each of its ends. */
  #lastStart = { at: 1, outside: "", inside: "" };
  #lastEnd = { at: nowhere, outside: "", inside: "" };

  constructor(templates: readonly DateTemplate[]) {
    this.#entries = templates.map((template) => ({
      template,
      matches: 0,
      hits: 0,
      lastUsedMs: 0,
      distance: nowhere,
    }));
  }

  /** The template that won last. */
  get last(): DateTemplate | undefined {
    return this.#entries[this.#lastIndex]?.template;
  }

  /** Notes what `find` would have noted had the last template, bound to the line's begin, matched again. */
  hitLastAgain(nowMs: number): void {
    const entry = this.#entries[this.#lastIndex];
    if (entry === undefined) return;
    entry.matches += 1;
    entry.hits += 1;
    entry.lastUsedMs = nowMs;
  }

  find(line: string, nowMs: number): FoundTemplate | undefined {
    const { winner, reserve, searchedWhole } = this.#tryLast(line);
    const found = winner ?? this.#scan(line, searchedWhole ? this.#lastIndex : -1, reserve);
    const entry = found === undefined ? undefined : this.#entries[found.index];
    if (found === undefined || entry === undefined) return undefined;
    this.#noteWin(line, found, nowMs);
    return { match: found.match, template: entry.template };
  }

  /** The template of the last line again; floating ones look only where they matched, if the place looks the same. */
  #tryLast(line: string): { winner?: Candidate; reserve?: Candidate; searchedWhole: boolean } {
    const entry = this.#entries[this.#lastIndex];
    if (entry === undefined) return { searchedWhole: false };
    const anchored = entry.template.anchored;
    const searchedWhole = anchored || !this.#hasLastBorders(line);
    const match = searchedWhole
      ? this.#search(this.#lastIndex, line)
      : this.#search(this.#lastIndex, line, this.#lastStart.at, this.#lastEnd.at);
    if (match === null) return { searchedWhole };
    const candidate = { match, index: this.#lastIndex };
    const samePlace = match.index === this.#lastStart.at && endOf(match) === this.#lastEnd.at;
    if (this.#entries.length === 1 || anchored || samePlace) return { winner: candidate, searchedWhole };
    return { reserve: candidate, searchedWhole };
  }

  #hasLastBorders(line: string): boolean {
    const sameStart =
      charAt(line, this.#lastStart.at - 1) === this.#lastStart.outside ||
      (charAt(line, this.#lastStart.at) === this.#lastStart.inside && !isAlphanumeric(this.#lastStart.inside));
    const sameEnd =
      charAt(line, this.#lastEnd.at) === this.#lastEnd.outside ||
      (charAt(line, this.#lastEnd.at - 1) === this.#lastEnd.inside && !isAlphanumeric(this.#lastEnd.inside));
    return sameStart && sameEnd;
  }

  /** The first match in the order of the list; one farther into the line than usual only if nothing nearer is found. */
  #scan(line: string, skip: number, reserve: Candidate | undefined): Candidate | undefined {
    for (const [index, entry] of this.#entries.entries()) {
      if (index === skip) continue;
      const match = this.#search(index, line);
      if (match === null) continue;
      const candidate = { match, index };
      const next = this.#entries[index + 1];
      if (next === undefined || entry.template.anchored) return candidate;
      if (match.index === 0 && entry.hits > 0 && next.matches === 0) return candidate;
      const fartherThanUsual = match.index > entry.distance || match.index > this.#lastStart.at;
      if (!fartherThanUsual) return candidate;
      if (reserve === undefined || match.index < reserve.match.index) reserve = candidate;
    }
    return reserve;
  }

  #noteWin(line: string, { match, index }: Candidate, nowMs: number): void {
    const entry = this.#entries[index];
    if (entry === undefined) return;
    entry.hits += 1;
    entry.lastUsedMs = nowMs;
    entry.distance = match.index;
    if (this.#firstUnused === index) this.#firstUnused += 1;
    const end = endOf(match);
    this.#lastStart = { at: match.index, outside: charAt(line, match.index - 1), inside: charAt(line, match.index) };
    this.#lastEnd = { at: end, outside: charAt(line, end), inside: charAt(line, end - 1) };
    this.#lastIndex = index > 0 && index !== this.#lastIndex ? this.#moveUp(index) : index;
  }

  /** To the first unused place, or half way up, or one step, if it has earned it. Returns the new place. */
  #moveUp(index: number): number {
    const entry = this.#entries[index];
    if (entry === undefined) return index;
    const mayTake = (place: number): boolean => {
      const occupant = this.#entries[place];
      return (
        occupant !== undefined &&
        (weightOf(entry) > weightOf(occupant) || entry.lastUsedMs - unusedMs > occupant.lastUsedMs)
      );
    };
    const far = this.#firstUnused < index ? this.#firstUnused : Math.floor(index / 2);
    const place = [far, index - 1].find(mayTake);
    if (place === undefined) return index;
    this.#entries.splice(index, 1);
    this.#entries.splice(place, 0, entry);
    while ((this.#entries[this.#firstUnused]?.hits ?? 0) > 0) this.#firstUnused += 1;
    return place;
  }

  #search(index: number, line: string, from = 0, to = line.length): RegExpExecArray | null {
    const entry = this.#entries[index];
    const match = entry?.template.search(line, from, to) ?? null;
    if (entry !== undefined && match !== null) entry.matches += 1;
    return match;
  }
}

function weightOf(entry: Entry): number {
  return (entry.hits * entry.template.weight) / Math.max(1, entry.distance);
}

function endOf(match: RegExpExecArray): number {
  return match.index + match[0].length;
}

/** The character there, empty outside of the line; the last one for -1 is never asked for. */
function charAt(line: string, index: number): string {
  return index >= 0 && index < line.length ? line.charAt(index) : "";
}

function isAlphanumeric(character: string): boolean {
  if (character <= "\x7f") return /[0-9A-Za-z]/.test(character);
  // Built when it is needed: V8 loads Unicode's tables with the first pattern that names a property.
  return /[\p{L}\p{N}]/u.test(character);
}
