import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** The program's one logger: JSON lines on standard error, so that standard output stays for answers. journald keeps them. */
export function openLogger(level: string): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}
