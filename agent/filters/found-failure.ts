/** What one line meant. `pending`: hostile, but its address is not known yet; a later line of its connection brings it. */
export type Outcome =
  | Readonly<{ kind: "missed" }>
  | Readonly<{ kind: "ignored" | "nofail" | "pending"; consumedLines: number }>
  | Readonly<{ kind: "failure"; failure: FoundFailure; consumedLines: number }>;

/** One failure: what to count, and what is known of it. */
export type FoundFailure = Readonly<{
  /** What is counted and banned: an address or network in canonical text, or any text the filter chose (`<F-ID>`). */
  id: string;
  /** The address in canonical text, null when the line named none. */
  ip: string | null;
  /** A host name that stands for the address: `resolve-names.ts` finds it, if the jail allows. `id` is the name then. */
  name: string | null;
  atMs: number;
  user: string | null;
  /** Every user the connection tried; null when the filter does not follow connections. */
  users: ReadonlySet<string> | null;
  /** How often it happened: more than 1 only when syslog folded repeated lines into one. */
  count: number;
  /** The log lines behind it, oldest first. */
  lines: readonly string[];
  /** All captured groups, by the names fail2ban gives them (`fid`, `fport`, `user`, …). */
  data: ReadonlyMap<string, string>;
}>;

/** The time around a line; the filter itself has no clock. */
export type LineClock = Readonly<{
  nowMs: number;
  /**
   * live: a date more than 60 s off counts as now. catchUp: what is older than `findTimeMs` is dropped.
   * any: every date counts as it stands (tests of filters, replays).
   */
  mode: "live" | "catchUp" | "any";
  findTimeMs: number;
  /** The time that came with the line (journal); its text is then not searched for a date. */
  lineAtMs?: number;
}>;
