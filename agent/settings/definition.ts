import { interpolate, type Variables } from "./interpolate.ts";
import type { Config } from "./read-config.ts";
import { substituteTags } from "./substitute-tags.ts";

/**
 * A filter or action file as one jail sees it: its `[Definition]` and `[Init]`, overridden by the options of the
 * reference (`sshd[mode=aggressive]`) and, through interpolation and tags, by the jail's own options.
 *
 * Reading happens twice, as in fail2ban: once for the `known/` values a jail may build on, once with the jail's
 * final options. What tags found outside of the file's values the first time is kept for the second.
 */
export class Definition {
  readonly #config: Config;
  readonly #wanted: readonly string[];
  readonly #reference: Map<string, string>;
  readonly #place: string;
  readonly #elsewhere = new Map<string, string | undefined>();
  #own = new Map<string, string>();
  #variables: Variables = new Map();

  /**
   * @param wanted     options of `[Definition]` that mean something to fail2ban
   * @param reference  options given in the reference
   * @param place      named in errors: `filter.d/sshd of [sshd]`
   */
  constructor(config: Config, wanted: readonly string[], reference: ReadonlyMap<string, string>, place: string) {
    this.#config = config;
    this.#wanted = wanted;
    this.#reference = new Map(reference);
    this.#place = place;
  }

  /** Whether `[Definition]` itself (not `[DEFAULT]`) has the option. */
  defines(option: string): boolean {
    return this.#config.sections.get("Definition")?.has(option) ?? false;
  }

  /** Options of the reference, and whatever `[Init]` adds once it is read. */
  get parameters(): Map<string, string> {
    return this.#reference;
  }

  /**
   * Reads all options anew.
   *
   * @param jailOptions  replace equally named options and may be referred to
   * @param everything   also read what is no wanted option, for `known/`
   */
  read(jailOptions: Variables, everything = false): void {
    const variables = new Map([...jailOptions, ...this.#reference]);
    this.#variables = variables;
    this.#own = new Map();
    for (const name of this.#wanted) {
      const value = variables.has(name) ? undefined : interpolate(this.#config, "Definition", name, variables);
      if (value !== undefined) this.#own.set(name, value);
    }
    for (const name of this.#config.sections.get("Init")?.keys() ?? []) {
      const value = interpolate(this.#config, "Init", name) ?? "";
      if (!name.startsWith("known/")) this.#reference.set(`known/${name}`, value);
      if (!this.#reference.has(name)) this.#reference.set(name, value);
    }
    if (!everything) return;
    for (const name of this.#config.sections.get("Definition")?.keys() ?? []) {
      if (!this.#own.has(name)) this.#own.set(name, interpolate(this.#config, "Definition", name) ?? "");
    }
  }

  /** All values with their tags replaced; tags of `ignored` and of conditional options stay for the run time. */
  combined(ignored: Iterable<string> = []): Map<string, string> {
    const values = new Map([...this.#own, ...this.#reference]);
    const later = new Set(ignored);
    for (const name of values.keys()) {
      const base = /^(\w+)\?./.exec(name)?.[1];
      if (base !== undefined) later.add(base);
    }
    return substituteTags(values, later, (name) => this.#lookUp(name), this.#place);
  }

  /** One option as combined values see it, without its tags replaced. */
  #lookUp(name: string): string | undefined {
    if (this.#elsewhere.has(name)) return this.#elsewhere.get(name);
    const value = this.#find(name);
    this.#elsewhere.set(name, value);
    return value;
  }

  #find(name: string): string | undefined {
    const [, where, option = ""] = /^([\w-]+)\/([^\s>]+)$/.exec(name.toLowerCase()) ?? [];
    const before = this.#config.known.get("Definition");
    let value: string | undefined;
    if (where === "known") {
      const layer = { ...this.#config, sections: new Map(before === undefined ? [] : [["Definition", before]]) };
      value = interpolate(layer, "Definition", option) ?? interpolate(this.#config, "Definition", option);
    } else if (where !== undefined) {
      const section = where === "default" ? "DEFAULT" : name.slice(0, where.length);
      value = interpolate(this.#config, section, option);
    }
    if (value !== undefined) return value;
    return interpolate(this.#config, "Definition", name.toLowerCase(), this.#variables);
  }
}
