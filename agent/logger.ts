/** The part of pino's interface we use. The agent does not load pino itself: it costs 9 MB, a sixth of the agent's budget. */
export type Logger = Readonly<Record<Level, (fields: object, message: string) => void>>;
export type Level = "debug" | "info" | "warn" | "error";

const severity: Readonly<Record<Level, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

/**
 * JSON lines on standard error, shaped as the coordinator's (pino's), so one reader serves both. The lines of one turn of
 * the event loop are written together: a burst of bans would cost a call of the system, and a wake of the journal, each.
 */
export function openLogger(
  least: Level,
  write: (lines: string) => void = (lines) => process.stderr.write(lines),
): Logger {
  let waiting = "";
  const flush = () => {
    if (waiting !== "") write(waiting);
    waiting = "";
  };
  process.once("exit", flush);
  const at = (level: Level) => (fields: object, message: string) => {
    if (severity[level] < severity[least]) return;
    if (waiting === "") queueMicrotask(flush);
    const time = isoTime(new Date());
    waiting += `${JSON.stringify({ level: severity[level], time, ...plain(fields), msg: message })}\n`;
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** JSON makes nothing of errors. Not by a replacer, which is called for every field and takes five times as long. */
function plain(fields: object): object {
  if (!Object.values(fields).some((value) => value instanceof Error)) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Error ? { type: value.name, message: value.message, stack: value.stack } : value,
    ]),
  );
}

/** As `toISOString()`, which in V8 reads the host's time zone first: 1 MB that an idle agent has no other use for. */
function isoTime(at: Date): string {
  const two = (value: number, digits = 2) => String(value).padStart(digits, "0");
  const day = `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  return `${day}T${clock}.${two(at.getUTCMilliseconds(), 3)}Z`;
}
