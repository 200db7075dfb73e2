import { Fleet2banError } from "../../shared/errors.ts";
import type { JournalPlace } from "./jail-settings.ts";
import { parseReference } from "./reference.ts";

/** Bits of `journalflags`. Source: sd_journal_open(3). */
const flagBits = { localOnly: 1, runtimeOnly: 2, system: 4, currentUser: 8 } as const;
const flagsMax = 15;

/** fail2ban's default: what the system's services wrote. */
export const systemJournal: JournalPlace = {
  directory: null,
  files: [],
  namespace: null,
  types: ["system"],
  merge: false,
};
const runtimeDirectory = "/run/log/journal";

/**
 * Which journal `backend = systemd[journalpath="/var/log/journal", journalflags=1]` means. As in fail2ban, whoever names a
 * path or files reads all they hold, unless flags say otherwise.
 *
 * @param place  named in the error
 * @throws Fleet2banError `invalid` for an option that does not exist, or two that exclude each other
 */
export function readJournalPlace(backend: string, place: string): JournalPlace {
  const options = new Map(parseReference(backend, place).options);
  const take = (name: string): string | null => {
    const text = options.get(name) || null;
    options.delete(name);
    return text;
  };
  const path = take("journalpath");
  const files = (take("journalfiles") ?? "").split(/[\s,]+/).filter((file) => file !== "");
  const flagsText = take("journalflags");
  const namespace = take("namespace");
  // Of fail2ban 1.1; journalctl reads rotated files in any case.
  take("rotated");
  const [unknown] = options.keys();
  if (unknown !== undefined) {
    const known = "journalpath, journalfiles, journalflags and namespace";
    throw new Fleet2banError("invalid", `${place}: systemd has no option "${unknown}"; it has ${known}`);
  }
  const flags = flagsText === null ? null : flagsOf(flagsText, place);
  const isRuntime = flags !== null && (flags & flagBits.runtimeOnly) !== 0;
  if ([path !== null, files.length > 0, namespace !== null, isRuntime].filter(Boolean).length > 1) {
    throw new Fleet2banError(
      "invalid",
      `${place}: names several journals at once; give journalpath, journalfiles, namespace or journalflags=2, one of them`,
    );
  }
  const directory = isRuntime ? runtimeDirectory : path;
  if (flags === null)
    return { ...systemJournal, directory, files, namespace, types: path || files.length > 0 ? [] : ["system"] };
  return {
    directory,
    files,
    namespace,
    types: [
      ...((flags & flagBits.system) !== 0 ? (["system"] as const) : []),
      ...((flags & flagBits.currentUser) !== 0 ? (["user"] as const) : []),
    ],
    merge: (flags & flagBits.localOnly) === 0,
  };
}

function flagsOf(text: string, place: string): number {
  const flags = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (flags <= flagsMax) return flags;
  throw new Fleet2banError(
    "invalid",
    `${place}: journalflags "${text}" is no sum of 1 (this machine's), 2 (since boot), 4 (system) and 8 (user)`,
  );
}
