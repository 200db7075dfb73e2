import type { ForgetfulLoop } from "../filters/recall-groups.ts";

/**
 * What reading a fail2ban configuration yields: every reference, include, interpolation and tag resolved.
 * Nothing here is compiled or opened yet; that is the work of `filters/`, `logs/` and `jails/`.
 */
export type Settings = Readonly<{
  jails: readonly JailSettings[];
  /** Jails that are enabled but cannot run, each with the sentence that says where and what to do. */
  broken: readonly BrokenJail[];
  warnings: readonly string[];
}>;

export type BrokenJail = Readonly<{ name: string; problem: string }>;

export type JailSettings = Readonly<{
  name: string;
  filter: FilterSettings;
  /** `journal` when the backend starts with `systemd`; otherwise files. */
  source: "file" | "journal";
  logPaths: readonly LogPath[];
  /** Lines of `FIELD=value` terms, ANDed within a line, ORed between lines. */
  journalMatches: readonly (readonly string[])[];
  /** null when files are read. */
  journal: JournalPlace | null;
  logEncoding: string;
  logTimezone: string | null;
  maxRetry: number;
  maxMatches: number;
  findTimeMs: number;
  /** null = for ever (`bantime = -1`). */
  banTimeMs: number | null;
  increment: BanTimeIncrement | null;
  ignoreSelf: boolean;
  /** Addresses, networks, names and `file:` paths, as written. */
  ignoreIp: readonly string[];
  ignoreCommand: string | null;
  ignoreCache: Readonly<{ key: string; countMax: number; timeMs: number }> | null;
  useDns: UseDns;
  /** What stops the banned: our own firewall for stock ban actions, commands for the rest. */
  actions: readonly ActionSettings[];
  warnings: readonly string[];
}>;

/** Which of the machine's journals; at most one of directory, files and namespace is given. */
export type JournalPlace = Readonly<{
  directory: string | null;
  /** Globs of journal files. */
  files: readonly string[];
  namespace: string | null;
  /** Empty = messages of services and of users. */
  types: readonly ("system" | "user")[];
  /** Also what other machines sent here. */
  merge: boolean;
}>;

export type UseDns = "yes" | "warn" | "no" | "raw";

/** A glob, re-expanded while running. `tail` starts at the end of a file seen for the first time. */
export type LogPath = Readonly<{ glob: string; start: "head" | "tail" }>;

export type FilterSettings = Readonly<{
  name: string;
  /** Regexes still in Python's syntax with fail2ban's tags (`<HOST>`, `<F-USER>`), macros already replaced. */
  prefRegex: string | null;
  failRegex: readonly string[];
  ignoreRegex: readonly string[];
  /** null = fail2ban's default templates. */
  datePattern: string | null;
  maxLines: number;
  /** Lines carry no date (journal, `logtype=journal`): the time comes with the line. */
  dateless: boolean;
  /** Present where the regexes were translated beforehand, so that whoever runs the filter need not. */
  prepared?: PreparedFilter;
}>;

/** What is costly to find out about a filter's regexes, as plain data. */
export type PreparedFilter = Readonly<{
  regexes: readonly PreparedRegex[];
  /** A line without any of them cannot match; null = every line must be looked at. */
  literals: readonly Readonly<{ text: string; ignoreCase: boolean }>[] | null;
}>;

/** A regex of the filter, and the JavaScript one for lines of ASCII. */
export type PreparedRegex = Readonly<{
  text: string;
  multiline: boolean;
  source: string;
  flags: string;
  loops: readonly ForgetfulLoop[];
  /** Capture number of each named group. */
  groups: readonly (readonly [name: string, number: number])[];
  warnings: readonly string[];
  /** The ASCII characters a match can begin with, in one text; null = any. */
  firstCharacters: string | null;
  /** Whether all it captures is the rest of the line. */
  capturesRest: boolean;
}>;

export type BanTimeIncrement = Readonly<{
  factor: number | null;
  formula: string | null;
  multipliers: readonly number[] | null;
  maxTimeMs: number | null;
  randomMs: number;
  overAllJails: boolean;
}>;

export type ActionSettings =
  /** Stock firewall action, mapped to our own firewall. `ports` null = every port. */
  | Readonly<{ kind: "firewall"; name: string; ports: readonly number[] | null; verdict: "drop" | "reject" | null }>
  /** Any other action: fail2ban's option texts after static substitution, run only when allowed in agent.yaml. */
  | Readonly<{ kind: "command"; name: string; options: Readonly<Record<string, string>> }>;
