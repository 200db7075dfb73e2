import { Fleet2banError } from "../../shared/errors.ts";

/** One option as written: its text (continuation lines joined by `\n`, nothing resolved) and where it stands. */
export type Option = Readonly<{ text: string; place: string }>;
export type Section = ReadonlyMap<string, Option>;

/** One file's content. `[DEFAULT]` stands apart because it speaks for every section. */
export type IniFile = Readonly<{ defaults: Section; sections: ReadonlyMap<string, Section> }>;

type Draft = { lines: string[]; place: string };

/**
 * Reads the dialect fail2ban reads (Python's configparser with inline `;` comments): names in lower case, the first
 * `=` or `:` divides, deeper indented lines continue a value, a section or option given twice is a mistake.
 *
 * @param file  named in errors and in the places of options
 * @throws Fleet2banError `invalid`, naming file and line
 */
export function parseIni(text: string, file: string): IniFile {
  const defaults = new Map<string, Draft>();
  const sections = new Map<string, Map<string, Draft>>();
  let section: Map<string, Draft> | undefined;
  let sectionName = "";
  let option: Draft | undefined;
  let optionIndent = 0;

  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    const place = `${file}:${index + 1}`;
    const content = withoutComment(line);
    if (content.text === "") {
      // A blank line inside a value belongs to it; a comment inside a value vanishes.
      if (!content.commented) option?.lines.push("");
      continue;
    }
    const indent = line.length - line.trimStart().length;
    if (option !== undefined && indent > optionIndent) {
      option.lines.push(content.text);
      continue;
    }
    optionIndent = indent;
    const header = /^\[(.+)\]/.exec(content.text)?.[1];
    if (header !== undefined) {
      option = undefined;
      sectionName = header;
      if (header === "DEFAULT") section = defaults;
      else {
        if (sections.has(header)) throw mistake(place, `section [${header}] is written twice; merge the two`);
        section = new Map();
        sections.set(header, section);
      }
      continue;
    }
    if (section === undefined) {
      throw mistake(
        place,
        `"${excerpt(content.text)}" stands before any section; write a line like [DEFAULT] above it`,
      );
    }
    const [name, value] = splitOption(content.text, place);
    if (section.has(name)) {
      throw mistake(place, `option "${name}" is given twice in [${sectionName}]; remove one of the two`);
    }
    option = { lines: [value], place };
    section.set(name, option);
  }
  return {
    defaults: joined(defaults),
    sections: new Map([...sections].map(([name, options]) => [name, joined(options)])),
  };
}

/** A `#` or `;` line is a comment; behind a value only a `;` after a blank starts one, because regexes hold `#` and `;`. */
function withoutComment(line: string): { text: string; commented: boolean } {
  const trimmed = line.trim();
  if (trimmed.startsWith("#") || trimmed.startsWith(";")) return { text: "", commented: true };
  const comment = line.search(/(?<=\s);/);
  if (comment < 0) return { text: trimmed, commented: false };
  return { text: line.slice(0, comment).trim(), commented: true };
}

function splitOption(text: string, place: string): [name: string, value: string] {
  const divider = text.search(/[=:]/);
  if (divider < 0) {
    throw mistake(
      place,
      `"${excerpt(text)}" has no "="; write name = value, or indent the line if it continues a value`,
    );
  }
  const name = text.slice(0, divider).trim().toLowerCase();
  if (name === "") throw mistake(place, `"${excerpt(text)}" has no name before its "${text[divider]}"`);
  return [name, text.slice(divider + 1).trim()];
}

function joined(options: ReadonlyMap<string, Draft>): Section {
  return new Map(
    [...options].map(([name, { lines, place }]) => [name, { text: lines.join("\n").trimEnd(), place }] as const),
  );
}

/** Enough of a line to recognise it. */
function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function mistake(place: string, problem: string): Fleet2banError {
  return new Fleet2banError("invalid", `${place}: ${problem}`);
}
