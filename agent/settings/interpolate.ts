import { Fleet2banError } from "../../shared/errors.ts";
import type { Option, Section } from "./ini.ts";

type Source = Readonly<{
  defaults: Section;
  sections: ReadonlyMap<string, Section>;
  known: ReadonlyMap<string, Section>;
}>;

/** Values that go before the section's own: what a jail passes to its filter. */
export type Variables = ReadonlyMap<string, string>;

const noVariables: Variables = new Map();
/** As in Python's configparser: deeper means that values refer to each other in a circle. */
const depthMax = 10;
/** A value that refers to itself twice doubles at each of ten depths; nothing honest comes near this. */
const textLengthMax = 256 * 1024;

/**
 * The value of an option with every `%(name)s` replaced and `%%` read as `%`.
 *
 * A name is looked up in the variables, the section and `[DEFAULT]`; `known/x`, `default/x` and `section/x` name an
 * option elsewhere. What is found is resolved in this section's context again.
 *
 * @returns undefined when neither the section nor `[DEFAULT]` has the option, or the section does not exist
 * @throws Fleet2banError `invalid` for a missing name, a circle, a lone `%`
 */
export function interpolate(
  source: Source,
  section: string,
  name: string,
  variables: Variables = noVariables,
): string | undefined {
  const own = section === "DEFAULT" ? source.defaults : source.sections.get(section);
  if (own === undefined) return undefined;
  const find = (wanted: string): string | undefined => {
    if (wanted === "__name__") return section;
    return (
      variables.get(wanted) ??
      (own.get(wanted) ?? source.defaults.get(wanted) ?? elsewhere(source, section, wanted))?.text
    );
  };
  const option = own.get(name) ?? source.defaults.get(name);
  const raw = variables.get(name) ?? option?.text;
  if (raw === undefined) return undefined;
  const place = `${option?.place ?? "option list"}: [${section}] ${name}`;
  return resolveText(raw, find, place, 1);
}

/** Where an option is written, for messages: `/etc/fail2ban/jail.local:12`. */
export function placeOf(source: Source, section: string, name: string): string | undefined {
  return (source.sections.get(section)?.get(name) ?? source.defaults.get(name))?.place;
}

function elsewhere(source: Source, section: string, name: string): Option | undefined {
  const slash = name.indexOf("/");
  if (slash < 0) return undefined;
  const option = name.slice(slash + 1);
  const where = name.slice(0, slash);
  if (where === "default") return source.defaults.get(option);
  if (where === "known") return source.known.get(section)?.get(option) ?? source.defaults.get(option);
  const other = source.sections.get(where);
  return other === undefined ? undefined : (other.get(option) ?? source.defaults.get(option));
}

function resolveText(text: string, find: (name: string) => string | undefined, place: string, depth: number): string {
  if (depth > depthMax) {
    throw new Fleet2banError(
      "invalid",
      `${place}: references are nested deeper than ${depthMax}; a value refers to itself (two overlays that both write %(known/…)s do so too)`,
    );
  }
  const resolved = text.replaceAll(/%(?:(%)|\(([^)]+)\)s|)/g, (_whole, percent?: string, name?: string) => {
    if (percent !== undefined) return "%";
    if (name === undefined) {
      throw new Fleet2banError(
        "invalid",
        `${place}: a single "%" must be written "%%"; only %(name)s refers to a value`,
      );
    }
    const found = find(sectionKept(name));
    if (found === undefined) {
      throw new Fleet2banError(
        "invalid",
        `${place}: refers to %(${name})s, which is nowhere defined; define it or correct the name`,
      );
    }
    return found.includes("%") ? resolveText(found, find, place, depth + 1) : found;
  });
  if (resolved.length > textLengthMax) {
    throw new Fleet2banError("invalid", `${place}: grows beyond ${textLengthMax} characters; check what it refers to`);
  }
  return resolved;
}

/** Option names are in lower case, section names as written. */
function sectionKept(name: string): string {
  const slash = name.indexOf("/");
  if (slash < 0) return name.toLowerCase();
  const where = name.slice(0, slash);
  const keyword = /^(known|default)$/i.test(where) ? where.toLowerCase() : where;
  return `${keyword}/${name.slice(slash + 1).toLowerCase()}`;
}
