import { globSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { Fleet2banError } from "../../shared/errors.ts";
import { type IniFile, type Option, parseIni, type Section } from "./ini.ts";
import { interpolate } from "./interpolate.ts";

/** All files of one logical name, laid over each other. */
export type Config = Readonly<{
  defaults: Map<string, Option>;
  sections: Map<string, Map<string, Option>>;
  /** Per section what an overlay replaced, one layer deep: the `known/` of fail2ban. */
  known: Map<string, Map<string, Option>>;
  files: readonly string[];
}>;

/** A configuration file is written by hand; a megabyte means that the path is wrong (a log, a device). */
const fileBytesMax = 1024 * 1024;
/** Files that one name may pull in: stock filters need four; includes of includes grow fast by mistake. */
const filesMax = 500;

/** Reads configuration files, each once, and remembers what it had to leave out. */
export class ConfigFiles {
  readonly warnings: string[] = [];
  readonly #dir: string;
  readonly #overlayDir: string | undefined;
  readonly #parsed = new Map<string, IniFile | undefined>();
  readonly #configs = new Map<string, Config | undefined>();

  /** @param overlayDir  a second directory whose files are laid over those of the first */
  constructor(dir: string, overlayDir?: string) {
    this.#dir = resolve(dir);
    this.#overlayDir = overlayDir === undefined ? undefined : resolve(overlayDir);
  }

  get dir(): string {
    return this.#dir;
  }

  /**
   * Everything below the directory that speaks for `name` (`jail`, `filter.d/sshd`): `.conf`, `.d/*.conf`, `.local`,
   * `.d/*.local`, each with its includes; later files win option by option.
   *
   * @returns undefined when no such file exists
   * @throws Fleet2banError `invalid` when one does not parse
   */
  read(name: string): Config | undefined {
    const known = this.#configs.get(name);
    if (known !== undefined || this.#configs.has(name)) return known;
    const dirs = this.#overlayDir === undefined ? [this.#dir] : [this.#dir, this.#overlayDir];
    const config = this.#readLayers(dirs.map((dir) => resolve(dir, name)));
    this.#configs.set(name, config);
    return config;
  }

  #readLayers(bases: readonly string[]): Config | undefined {
    const layers = bases.flatMap((base) =>
      [".conf", ".local"].flatMap((extension) => [base + extension, ...inDirectory(base, extension)]),
    );
    const files = this.#withIncludes(
      layers.filter((file) => isFile(file)),
      [],
    );
    const contents = files.map((file) => this.#parse(file));
    if (contents.every((content) => content === undefined)) return undefined;
    const config: Config = { defaults: new Map(), sections: new Map(), known: new Map(), files };
    for (const content of contents) if (content !== undefined) overlay(config, content);
    return config;
  }

  /** `before` files, the file, its `after` files, recursively, each `x.conf` followed by the `x.local` beside it. */
  #withIncludes(files: readonly string[], including: readonly string[]): string[] {
    const all: string[] = [];
    for (const file of withLocals(files)) {
      const content = this.#parse(file);
      if (content === undefined) continue;
      const within = [...including, file];
      all.push(...this.#included(content, file, "before", within), file);
      all.push(...this.#included(content, file, "after", within));
      if (all.length > filesMax) {
        throw new Fleet2banError(
          "invalid",
          `${file}: [INCLUDES] pulls in more than ${filesMax} files; remove the circle`,
        );
      }
    }
    return all;
  }

  #included(content: IniFile, file: string, option: "before" | "after", within: readonly string[]): string[] {
    const list = interpolate({ ...content, known: new Map() }, "INCLUDES", option);
    const names = list?.split("\n").filter((name) => name !== "") ?? [];
    const paths = names.map((name) => resolve(dirname(file), name)).filter((path) => !within.includes(path));
    return paths.flatMap((path) => this.#withIncludes([path], within));
  }

  #parse(file: string): IniFile | undefined {
    if (this.#parsed.has(file)) return this.#parsed.get(file);
    const text = this.#readText(file);
    const content = text === undefined ? undefined : parseIni(text, file);
    this.#parsed.set(file, content);
    return content;
  }

  #readText(file: string): string | undefined {
    // An include that does not exist is an invitation to the operator (`after = common.local`), not a mistake.
    if (!isFile(file)) return undefined;
    try {
      if (statSync(file).size > fileBytesMax) throw new Error(`larger than ${fileBytesMax} bytes`);
      return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
    } catch (cause) {
      const why = cause instanceof TypeError ? "is not UTF-8; convert it" : `cannot be read (${String(cause)})`;
      this.warnings.push(`${file}: ${why}; the file is left out`);
      return undefined;
    }
  }
}

function overlay(config: Config, content: IniFile): void {
  for (const [name, option] of content.defaults) config.defaults.set(name, option);
  for (const [header, written] of content.sections) {
    // `[Init?family=inet6]` is section Init with every option renamed to `option?family=inet6`.
    const [, name = header, condition = ""] = /^(\w+)(\?.+)$/.exec(header) ?? [];
    const options: Section = new Map([...written].map(([option, value]) => [option + condition, value] as const));
    const section = config.sections.get(name);
    if (section === undefined) {
      config.sections.set(name, new Map(options));
      continue;
    }
    const replaced = config.known.get(name) ?? new Map<string, Option>();
    config.known.set(name, replaced);
    for (const [option, value] of options) {
      const before = section.get(option);
      if (before !== undefined) replaced.set(option, before);
      section.set(option, value);
    }
  }
}

function withLocals(files: readonly string[]): string[] {
  return files.flatMap((file) => {
    const local = `${file.replace(/\.[^./]+$/, "")}.local`;
    return files.includes(local) || !isFile(local) ? [file] : [file, local];
  });
}

function inDirectory(base: string, extension: string): string[] {
  const names = globSync(`*${extension}`, { cwd: `${base}.d` }).filter((name) => !basename(name).startsWith("."));
  return names.toSorted().map((name) => join(`${base}.d`, name));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
