/** One journal entry as a filter sees it. */
export type JournalLine = Readonly<{
  /** `HOST IDENT[PID]: MESSAGE`, as fail2ban builds it; no date, no newline. */
  text: string;
  /** When it happened, by the sender's clock reading if the journal has one. */
  atMs: number;
  /** What the journal itself vouches for, unlike the text: who really wrote it. */
  trusted: Readonly<Record<string, string>>;
  jails: readonly string[];
}>;

export type JournalEntry = Readonly<{
  cursor: string;
  /** When the journal got it, in µs: what it is ordered by. */
  receivedMicros: number;
  valuesOf(field: string): readonly string[];
}>;

/** A longer message is cut: no filter looks further, and a flood must not fill the memory. */
export const messageLengthMax = 65_536;
const trustedFields = ["_PID", "_UID", "_COMM", "_EXE", "_SYSTEMD_UNIT"] as const;

/** What `lineOf` needs of an entry. */
export const lineFields: readonly string[] = [
  ...trustedFields,
  "MESSAGE",
  "SYSLOG_IDENTIFIER",
  "SYSLOG_PID",
  "_HOSTNAME",
  "_SOURCE_REALTIME_TIMESTAMP",
  "_SOURCE_MONOTONIC_TIMESTAMP",
];

/** Reads one line of `journalctl -o json`; undefined when it is no entry. Checked by hand: it runs once per log line. */
export function parseJournalEntry(json: string): JournalEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields: Record<string, unknown> = { ...value };
  const cursor = fields.__CURSOR;
  const receivedMicros = Number(fields.__REALTIME_TIMESTAMP);
  if (typeof cursor !== "string" || !Number.isSafeInteger(receivedMicros)) return undefined;
  return { cursor, receivedMicros, valuesOf: (field) => valuesIn(fields[field]) };
}

export function lineOf(entry: JournalEntry, jails: readonly string[]): JournalLine {
  const first = (field: string): string | undefined => entry.valuesOf(field)[0];
  const ident = first("SYSLOG_IDENTIFIER") ?? first("_COMM");
  const pid = first("SYSLOG_PID") ?? first("_PID");
  const parts = [
    first("_HOSTNAME"),
    ident === undefined ? undefined : `${ident}${pid === undefined ? "" : `[${pid}]`}:`,
  ];
  if (ident === "kernel") parts.push(`[${monotonicSeconds(entry)}]`);
  // Several values of one field are several texts of one event.
  parts.push(entry.valuesOf("MESSAGE").join(" ").slice(0, messageLengthMax));
  const text = parts.filter((part) => part !== undefined).join(" ");
  const sourceMicros = Number(first("_SOURCE_REALTIME_TIMESTAMP") ?? Number.NaN);
  const micros = Number.isSafeInteger(sourceMicros) ? sourceMicros : entry.receivedMicros;
  const trusted: Record<string, string> = {};
  for (const field of trustedFields) {
    const value = first(field);
    if (value !== undefined) trusted[field] = value;
  }
  return { text: text.replaceAll("\n", "\\n"), atMs: Math.floor(micros / 1000), trusted, jails };
}

function monotonicSeconds(entry: JournalEntry): string {
  const [micros] = [...entry.valuesOf("_SOURCE_MONOTONIC_TIMESTAMP"), ...entry.valuesOf("__MONOTONIC_TIMESTAMP"), "0"];
  return (Number(micros) / 1_000_000).toFixed(6).padStart(12);
}

/**
 * A field's values: a string; bytes, when they are not plain text; or an array of those when the field occurs more
 * than once. Source: systemd.io/JOURNAL_EXPORT_FORMATS, "Journal JSON Format".
 */
function valuesIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) return [];
  if (typeof value[0] === "number") return [Buffer.from(value).toString()];
  return value.flatMap(valuesIn);
}
