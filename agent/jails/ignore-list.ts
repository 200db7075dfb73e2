import { type Net, parseNet } from "../../shared/address.ts";
import { CidrTable } from "../../shared/cidr-table.ts";
import { minuteMs, secondMs } from "../../shared/durations.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import type { JailSettings } from "../settings/jail-settings.ts";
import { type IgnoreEntry, parseIgnoreEntry, parseIgnoreFile } from "./ignore-entries.ts";

export type IgnoreSettings = Pick<JailSettings, "ignoreSelf" | "ignoreIp" | "ignoreCommand" | "ignoreCache">;

/** The world around the list. Readers answer at once; only names are waited for, and never while a line is judged. */
export type IgnoreSources = Readonly<{
  /** Addresses of this host's interfaces. */
  selfAddresses(): readonly string[];
  /** Names of this host: behind NAT the public address is only known to the name server. */
  selfNames(): readonly string[];
  /** Changes when the file does (modification time and size); undefined when it cannot be read. */
  fileVersion(path: string): string | undefined;
  readFile(path: string): string | undefined;
  resolve(name: string): Promise<readonly string[]>;
}>;

/** fail2ban's words for what spared someone, as they appear in its log. */
export type IgnoredBy = "ignoreself rule" | "ip" | "dns" | "file" | "command" | "cache";

export type IgnoreVerdict =
  | Readonly<{ kind: "ignored"; by: IgnoredBy }>
  | Readonly<{ kind: "not-ignored" }>
  /** The jail's ignorecommand must be run for this failure; its answer goes to `remember` and to the jail. */
  | Readonly<{ kind: "ask"; command: string }>;

const notIgnored: IgnoreVerdict = { kind: "not-ignored" };
const namesTimeMs = 5 * minuteMs;
const selfTimeMs = minuteMs;
const fileCheckMs = secondMs;

type WatchedFile = { readonly path: string; checkedMs: number; version: string | undefined; nets: CidrTable<true> };
type ResolvedName = { readonly name: string; readonly by: IgnoredBy; resolvedMs: number; nets: CidrTable<true> };

/** Who is never counted in one jail. Order and caches are fail2ban's. */
export function createIgnoreList(settings: IgnoreSettings, sources: IgnoreSources) {
  const entries = settings.ignoreIp.map(parseIgnoreEntry);
  const nets = tableOf(entries);
  const files: WatchedFile[] = entries
    .filter((entry) => entry.kind === "file")
    .map(({ path }) => ({ path, checkedMs: -Infinity, version: undefined, nets: new CidrTable() }));
  const listedNames = entries.filter((entry) => entry.kind === "name").map(({ name }) => name);
  const names = [
    ...(settings.ignoreSelf ? sources.selfNames() : []).map((name) => unresolved(name, "ignoreself rule")),
    ...listedNames.map((name) => unresolved(name, "dns")),
  ];
  const cache = settings.ignoreCache === null ? undefined : createVerdictCache(settings.ignoreCache);
  let own = { readMs: -Infinity, nets: new CidrTable<true>() };

  function isOwn(subject: readonly Net[], nowMs: number): boolean {
    if (nowMs - own.readMs >= selfTimeMs) own = { readMs: nowMs, nets: tableOfTexts(sources.selfAddresses()) };
    return isCovered(subject, own.nets);
  }

  function look(found: FoundFailure, nowMs: number): IgnoreVerdict {
    const subject = netsOf(found);
    if (settings.ignoreSelf && isOwn(subject, nowMs)) return { kind: "ignored", by: "ignoreself rule" };
    if (isCovered(subject, nets)) return { kind: "ignored", by: "ip" };
    for (const file of files) if (isInFile(file, sources, subject, nowMs)) return { kind: "ignored", by: "file" };
    for (const name of names) if (isCovered(subject, name.nets)) return { kind: "ignored", by: name.by };
    if (settings.ignoreCommand !== null) return { kind: "ask", command: settings.ignoreCommand };
    return notIgnored;
  }

  return {
    check(found: FoundFailure, nowMs: number): IgnoreVerdict {
      const cached = cache?.get(found, nowMs);
      if (cached !== undefined) return cached ? { kind: "ignored", by: "cache" } : { kind: "not-ignored" };
      const verdict = look(found, nowMs);
      if (verdict.kind !== "ask") cache?.set(found, verdict.kind === "ignored", nowMs);
      return verdict;
    },

    /** Keeps the answer of the jail's ignorecommand in the cache, if there is one. */
    remember(found: FoundFailure, ignored: boolean, nowMs: number): void {
      cache?.set(found, ignored, nowMs);
    },

    /** Resolves the names in the list again if five minutes old. To be called, and awaited, before the first line. */
    async refreshNames(nowMs: number): Promise<void> {
      const due = names.filter((name) => nowMs - name.resolvedMs >= namesTimeMs);
      await Promise.all(
        due.map(async (entry) => {
          entry.resolvedMs = nowMs;
          // A name server that is down must not expose whom it named a minute ago: the last answer stands.
          const addresses = await sources.resolve(entry.name).catch(() => []);
          if (addresses.length > 0) entry.nets = tableOfTexts(addresses);
        }),
      );
    },
  };
}

export type IgnoreList = ReturnType<typeof createIgnoreList>;

function isInFile(file: WatchedFile, sources: IgnoreSources, subject: readonly Net[], nowMs: number): boolean {
  if (nowMs - file.checkedMs >= fileCheckMs) {
    file.checkedMs = nowMs;
    const version = sources.fileVersion(file.path);
    // A file that is gone for a moment, while an editor replaces it, keeps protecting whom it named.
    const text = version === undefined || version === file.version ? undefined : sources.readFile(file.path);
    if (text !== undefined) {
      file.nets = tableOf(parseIgnoreFile(text));
      file.version = version;
    }
  }
  return isCovered(subject, file.nets);
}

function isCovered(subject: readonly Net[], nets: CidrTable<true>): boolean {
  for (const net of subject) if (nets.covers(net)) return true;
  return false;
}

/** The id, and the address behind it if it is another: sparing an address spares whatever it is counted as. */
function netsOf(found: FoundFailure): readonly Net[] {
  const id = parseNet(found.id);
  const ip = found.ip === null || found.ip === found.id ? undefined : parseNet(found.ip);
  if (ip !== undefined) return id === undefined ? [ip] : [id, ip];
  return id === undefined ? [] : [id];
}

function unresolved(name: string, by: IgnoredBy): ResolvedName {
  return { name, by, resolvedMs: Number.NEGATIVE_INFINITY, nets: new CidrTable() };
}

function tableOf(entries: readonly IgnoreEntry[]): CidrTable<true> {
  const table = new CidrTable<true>();
  for (const entry of entries) if (entry.kind === "net") table.set(entry.net, true);
  return table;
}

function tableOfTexts(addresses: readonly string[]): CidrTable<true> {
  return tableOf(addresses.map(parseIgnoreEntry));
}

/** `ignorecache`: answers by a key made of the failure, such as `<F-USER>@<ip>`. */
function createVerdictCache(settings: NonNullable<IgnoreSettings["ignoreCache"]>) {
  const known = new Map<string, Readonly<{ ignored: boolean; untilMs: number }>>();
  return {
    get(found: FoundFailure, nowMs: number): boolean | undefined {
      const key = cacheKey(settings.key, found);
      const entry = known.get(key);
      if (entry === undefined) return undefined;
      if (entry.untilMs > nowMs) return entry.ignored;
      known.delete(key);
      return undefined;
    },
    set(found: FoundFailure, ignored: boolean, nowMs: number): void {
      const key = cacheKey(settings.key, found);
      known.delete(key);
      while (known.size >= Math.max(1, settings.countMax)) {
        const oldest = known.keys().next();
        if (oldest.done) break;
        known.delete(oldest.value);
      }
      known.set(key, { ignored, untilMs: nowMs + settings.timeMs });
    },
  };
}

/** `<ip-host>` would be a question to a name server per line: the address itself tells hosts apart as well. */
function cacheKey(pattern: string, found: FoundFailure): string {
  return pattern.replace(/<([\w-]+)>/g, (tag, name: string) => {
    if (name === "ip" || name === "ip-host") return found.ip ?? found.id;
    if (name === "fid") return found.id;
    if (name === "F-USER") return found.user ?? "";
    return name.startsWith("F-") ? (found.data.get(name.slice(2).toLowerCase()) ?? "") : tag;
  });
}
