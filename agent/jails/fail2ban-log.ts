import { formatDurationMs } from "../../shared/durations.ts";

/**
 * Lines in the layout of fail2ban.log, so that what operators have built on it goes on working: recidive jails first of
 * all, then log scrapers and dashboards. Only ours are written; fail2ban's own wording elsewhere is not imitated.
 */
export type LogEvent =
  | Readonly<{ kind: "found" | "attempt"; jail: string; id: string; atMs: number }>
  | Readonly<{
      kind: "found-bad";
      jail: string;
      id: string;
      atMs: number;
      earlierBans: number;
      weight: number;
      bans: boolean;
    }>
  | Readonly<{ kind: "ignored"; jail: string; id: string; by: string }>
  | Readonly<{ kind: "ban" | "restore" | "unban" | "already-banned"; jail: string; id: string }>
  | Readonly<{
      kind: "increase";
      jail: string;
      id: string;
      bans: number;
      banTimeMs: number | null;
      untilMs: number | null;
    }>;

type Level = "INFO" | "NOTICE";

/** Logger names are padded to this, levels to theirs: a scraper may count columns. */
const loggerWidth = 24;
const levelWidth = 7;

export function formatFail2banLine(event: LogEvent, nowMs: number, processId: number): string {
  const [logger, level, message] = wordsOf(event);
  const milliseconds = String(new Date(nowMs).getMilliseconds()).padStart(3, "0");
  const process = `[${processId}]`;
  const columns = `${`fail2ban.${logger}`.padEnd(loggerWidth)}${process}: ${level.padEnd(levelWidth)} `;
  return `${localTime(nowMs)},${milliseconds} ${columns}[${event.jail}] ${message}`;
}

function wordsOf(event: LogEvent): readonly [logger: string, level: Level, message: string] {
  // Ids may come from attackers: a line break would let them write a ban line of their own.
  const id = event.id.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]/g, "?");
  switch (event.kind) {
    case "found":
      return ["filter", "INFO", `Found ${id} - ${localTime(event.atMs)}`];
    case "attempt":
      return ["filter", "INFO", `Attempt ${id} - ${localTime(event.atMs)}`];
    case "found-bad": {
      const outcome = `${event.earlierBans} # -> ${event.weight.toFixed(1)}${event.bans ? ", Ban" : ""}`;
      return ["observer", "INFO", `Found ${id}, bad - ${localTime(event.atMs)}, ${outcome}`];
    }
    case "ignored":
      return ["filter", "INFO", `Ignore ${id} by ${event.by}`];
    case "ban":
      return ["actions", "NOTICE", `Ban ${id}`];
    case "restore":
      return ["actions", "NOTICE", `Restore Ban ${id}`];
    case "unban":
      return ["actions", "NOTICE", `Unban ${id}`];
    case "already-banned":
      return ["actions", "NOTICE", `${id} already banned`];
    case "increase":
      return ["observer", "NOTICE", `Increase Ban ${id} (${event.bans} # ${spanOf(event)})`];
  }
}

function spanOf({ banTimeMs, untilMs }: Readonly<{ banTimeMs: number | null; untilMs: number | null }>): string {
  if (banTimeMs === null || untilMs === null) return "permanent -> infinite";
  return `${formatDurationMs(banTimeMs)} -> ${localTime(untilMs)}`;
}

/** `2026-11-22 06:34:39` on this machine's clock. */
function localTime(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
