import { Fleet2banError } from "../../shared/errors.ts";
import { jailNamePattern } from "../../shared/failure-batch.ts";
import { interpolate, placeOf } from "./interpolate.ts";
import { isTrue, JailOptions } from "./jail-options.ts";
import type { ActionSettings, JailSettings, JournalPlace, LogPath } from "./jail-settings.ts";
import { readJournalPlace, systemJournal } from "./journal-place.ts";
import { lintFilter } from "./lint-filter.ts";
import { loadAction } from "./load-action.ts";
import { filterOptions, openFilter, readFilter } from "./load-filter.ts";
import { encodingNamed } from "./log-encoding.ts";
import type { Config, ConfigFiles } from "./read-config.ts";
import { parseReferences } from "./reference.ts";
import type { ServicePorts } from "./service-ports.ts";

const jailOptions = [
  "enabled",
  "backend",
  "maxretry",
  "maxmatches",
  "findtime",
  "bantime",
  "bantime.increment",
  "bantime.factor",
  "bantime.formula",
  "bantime.multipliers",
  "bantime.maxtime",
  "bantime.rndtime",
  "bantime.overalljails",
  "ignorecommand",
  "ignoreself",
  "ignoreip",
  "ignorecache",
  "filter",
  "logtimezone",
  "logencoding",
  "logpath",
  "action",
  ...filterOptions,
];

export type JailContext = Readonly<{
  files: ConfigFiles;
  config: Config;
  services: ServicePorts;
  /** Whether this machine has a journal and no file matches these globs: the jail then reads the journal. */
  prefersJournal: (globs: readonly string[]) => boolean;
}>;

export function isEnabled(config: Config, name: string): boolean {
  return isTrue(interpolate(config, name, "enabled") ?? "");
}

/**
 * Resolves everything one jail says.
 *
 * @throws Fleet2banError `invalid`, naming file, section, option and remedy
 */
export function loadJail(context: JailContext, name: string): JailSettings {
  if (!jailNamePattern.test(name)) {
    throw new Fleet2banError(
      "invalid",
      `[${name}] is not a name for a jail; use letters, digits, ".", "_" and "-", at most 63`,
    );
  }
  const declared = readOptions(context, name, ["backend", "systemd_if_nologs"]);
  const backend = declared.get("backend") ?? "auto";
  if (backend.startsWith("systemd")) {
    return resolveJail(context, name, readJournalPlace(backend, placeText(context, name, "backend")));
  }
  requireFileBackend(backend, placeText(context, name, "backend"));
  const jail = resolveJail(context, name, null);
  const globs = jail.logPaths.map((path) => path.glob);
  const mayChange = backend === "auto" && isTrue(declared.get("systemd_if_nologs") ?? "true");
  if (!mayChange || jail.journalMatches.length === 0 || !context.prefersJournal(globs)) return jail;
  const warning = `${placeText(context, name, "logpath")}: no such file here; the jail reads the journal instead`;
  const fromJournal = resolveJail(context, name, systemJournal);
  return { ...fromJournal, warnings: [warning, ...fromJournal.warnings] };
}

/** They are all the same here: files are watched, and looked at now and then. */
function requireFileBackend(backend: string, place: string): void {
  if (/^(?:auto|polling|pyinotify|gamin)(?:\[|$)/i.test(backend)) return;
  throw new Fleet2banError("invalid", `${place}: "${backend}" is none of auto, polling, pyinotify, gamin and systemd`);
}

function resolveJail(context: JailContext, name: string, journal: JournalPlace | null): JailSettings {
  const source: JailSettings["source"] = journal === null ? "file" : "journal";
  const place = (option: string) => placeText(context, name, option);
  // First only what finds the filter; its values then serve the jail's options as `known/…`.
  const first = readOptions(context, name, ["enabled", "backend", "filter"]);
  const filter = openFilter(context.files, first.get("filter") ?? "", source, place("filter"));
  filter.definition.read(first, true);
  const own = context.config.sections.get(name);
  if (own !== undefined) rememberKnown(own, filter.definition.combined(), place("filter"));

  const texts = readOptions(context, name, jailOptions);
  const read = readFilter(filter, texts, source, place("filter"));
  if (read.settings.failRegex.length === 0) {
    throw new Fleet2banError(
      "invalid",
      `${place("failregex")}: neither the jail nor the filter "${filter.name}" has a failregex; add one`,
    );
  }
  const options = new JailOptions(texts, place);
  const warnings: string[] = [...read.warnings, ...lintFilter(read.settings)];
  const logPaths = parseLogPaths(texts.get("logpath") ?? "");
  if (source === "file" && logPaths.length === 0) {
    throw new Fleet2banError("invalid", `${place("logpath")}: is empty; name the log files, or set backend = systemd`);
  }
  if (source === "journal" && read.journalMatches.length === 0) {
    warnings.push(`${place("journalmatch")}: is empty, so the jail reads the whole journal; name its unit`);
  }
  const logEncoding = texts.get("logencoding") || "auto";
  if (encodingNamed(logEncoding) === undefined) {
    warnings.push(`${place("logencoding")}: "${logEncoding}" is not known here; lines are read as UTF-8`);
  }
  const actions = loadActions(context, name, texts, warnings);
  const settings = {
    name,
    filter: read.settings,
    source,
    logPaths: source === "file" ? logPaths : [],
    journalMatches: read.journalMatches,
    journal,
    logEncoding,
    logTimezone: texts.get("logtimezone") || null,
    maxRetry: options.count("maxretry", 3),
    maxMatches: options.count("maxmatches", 5, 0),
    findTimeMs: options.spanMs("findtime", 600_000),
    banTimeMs: options.banTimeMs(),
    increment: options.increment(),
    ignoreSelf: options.flag("ignoreself", true),
    ignoreIp: (texts.get("ignoreip") ?? "").split(/[\s,]+/).filter((word) => word !== ""),
    ignoreCommand: texts.get("ignorecommand") || null,
    ignoreCache: options.ignoreCache(),
    // fail2ban would resolve: whoever owns a name decides where it points, so only a jail that says so does.
    useDns: read.useDns ?? ("no" as const),
    actions,
  };
  return { ...settings, warnings: [...warnings, ...options.warnings] };
}

function loadActions(
  context: JailContext,
  name: string,
  texts: ReadonlyMap<string, string>,
  warnings: string[],
): ActionSettings[] {
  const place = placeText(context, name, "action");
  const actions: ActionSettings[] = [];
  for (const reference of parseReferences(texts.get("action") ?? "", place)) {
    const loaded = loadAction(context.files, reference, name, texts, context.services, place);
    warnings.push(...loaded.warnings);
    if (loaded.action === null) continue;
    const { name: actionName } = loaded.action;
    if (actions.some((action) => action.name === actionName)) {
      throw new Fleet2banError(
        "invalid",
        `${place}: "${actionName}" stands twice; give one of them its own actname="…"`,
      );
    }
    actions.push(loaded.action);
  }
  if (actions.length === 0) warnings.push(`${place}: nothing stops the banned here; name a ban action`);
  return actions;
}

/** Each line is a glob, with ` tail` or ` head` behind it when the start matters. */
export function parseLogPaths(text: string): LogPath[] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .map((line) => {
      const [, glob = line, start] = /^(.+?)\s+(tail|head)$/.exec(line) ?? [];
      return { glob, start: start === "tail" ? "tail" : "head" };
    });
}

/** Puts the filter's values into the jail's section as `known/…`, so that `%(known/failregex)s` finds them. */
function rememberKnown(
  section: Map<string, { text: string; place: string }>,
  values: ReadonlyMap<string, string>,
  place: string,
): void {
  for (const [option, text] of values)
    if (!option.startsWith("known/")) section.set(`known/${option}`, { text, place });
}

function readOptions(context: JailContext, name: string, wanted: readonly string[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const option of wanted) {
    const text = interpolate(context.config, name, option);
    if (text !== undefined) texts.set(option, text);
  }
  return texts;
}

function placeText(context: JailContext, name: string, option: string): string {
  return `${placeOf(context.config, name, option) ?? `${context.files.dir}/jail.conf`}: [${name}] ${option}`;
}
