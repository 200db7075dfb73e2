import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { Fleet2banError, messageOf } from "../../shared/errors.ts";
import type { BrokenJail, FilterSettings, JailSettings, Settings } from "./jail-settings.ts";
import { openFilter, readFilter } from "./load-filter.ts";
import { isEnabled, type JailContext, loadJail } from "./load-jail.ts";
import { ConfigFiles } from "./read-config.ts";
import { readServicePorts, type ServicePorts } from "./service-ports.ts";

/** Jails of one configuration: the wire names at most 256 in a batch. */
const jailsMax = 256;
/** The release whose behaviour we follow; stock files put it into the name of their HTTP client. */
const fail2banVersion = "1.1.1";

export type LoadOptions = Readonly<{
  /** Only this jail, whether it is enabled or not. */
  jail?: string;
  /** Jails that run although their configuration does not enable them. */
  enable?: readonly string[];
  /** The operator's own files over a shipped directory: an update then never touches what he wrote. */
  overlayDir?: string;
  services?: ServicePorts;
  /** Whether the system keeps a journal that can stand in for log files that do not exist. */
  hasJournal?: boolean;
}>;

/** The system's fail2ban configuration where there is one, otherwise our own. */
export function defaultConfigDir(system = "/etc/fail2ban"): string {
  const names = ["jail.conf", "jail.local"];
  return names.some((name) => existsSync(join(system, name))) ? system : builtInConfigDir();
}

/** Where our own filters and jails are, for systems without fail2ban's. */
export function builtInConfigDir(): string {
  return join(import.meta.dirname, "built-in");
}

/**
 * Reads a fail2ban configuration directory and resolves every enabled jail.
 *
 * A jail that cannot run is in `broken`; the others stand.
 *
 * @throws Fleet2banError `invalid` when there is no jail configuration or one of its files does not parse,
 *         because then no jail can be trusted to be as its operator wrote it
 */
export function loadSettings(configDir: string, options: LoadOptions = {}): Settings {
  const files = new ConfigFiles(configDir, options.overlayDir);
  const config = readJailConfig(files);
  const context: JailContext = {
    files,
    config,
    services: options.services ?? readServicePorts(),
    prefersJournal: (globs) => (options.hasJournal ?? systemHasJournal()) && globSync([...globs]).length === 0,
  };
  const jails: JailSettings[] = [];
  const broken: BrokenJail[] = [];
  for (const name of config.sections.keys()) {
    if (name === "INCLUDES" || (options.jail !== undefined && options.jail !== name)) continue;
    try {
      const wanted = options.jail === name || options.enable?.includes(name) || isEnabled(config, name);
      if (!wanted) continue;
      if (jails.length >= jailsMax) throw new Fleet2banError("invalid", `more than ${jailsMax} jails; disable some`);
      jails.push(loadJail(context, name));
    } catch (error) {
      if (!(error instanceof Fleet2banError)) throw error;
      broken.push({ name, problem: messageOf(error) });
    }
  }
  const named = options.jail === undefined ? (options.enable ?? []) : [options.jail];
  for (const name of named) {
    if (config.sections.has(name)) continue;
    throw new Fleet2banError(
      "invalid",
      `${files.dir}: there is no jail [${name}]; add the section or correct the name`,
    );
  }
  return { jails, broken, warnings: files.warnings };
}

/**
 * Reads one filter without a jail: `sshd[mode=aggressive]`.
 *
 * @throws Fleet2banError `invalid`
 */
export function loadFilter(configDir: string, reference: string, overlayDir?: string): FilterSettings {
  const files = new ConfigFiles(configDir, overlayDir);
  const filter = openFilter(files, reference, "file", "filter");
  const { settings } = readFilter(filter, new Map(), "file", `filter ${reference}`);
  if (settings.failRegex.length > 0) return settings;
  throw new Fleet2banError("invalid", `filter "${filter.name}" has no failregex; add one`);
}

function readJailConfig(files: ConfigFiles): ReturnType<typeof requireConfig> {
  const config = requireConfig(files);
  config.defaults.set("fail2ban_version", { text: fail2banVersion, place: "built in" });
  config.defaults.set("fail2ban_confpath", { text: files.dir, place: "built in" });
  return config;
}

function requireConfig(files: ConfigFiles) {
  const config = files.read("jail");
  if (config !== undefined) return config;
  throw new Fleet2banError(
    "invalid",
    `${files.dir}: has no jail.conf or jail.local; point to a fail2ban configuration or use the built-in one`,
  );
}

function systemHasJournal(): boolean {
  return existsSync("/run/log/journal") || existsSync("/var/log/journal");
}
