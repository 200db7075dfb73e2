export type ErrorCode = "invalid" | "not_found" | "conflict" | "forbidden" | "unavailable" | "internal";

/**
 * The world's mistake, not ours: bad input, a missing file, a database that is down.
 * `message` names the place and the remedy and may be shown to anyone; detail belongs in `cause`, which only the log sees.
 */
export class Fleet2banError extends Error {
  override readonly name = "Fleet2banError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Exit codes of every program. Source: sysexits(3), as systemd and admins know them. */
export const exitCodes = { ok: 0, other: 1, usage: 64, unavailable: 69, badConfig: 78 } as const;

/** The exit code a program ends with after this error reached its `main`. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof Fleet2banError)) return exitCodes.other;
  if (error.code === "invalid") return exitCodes.badConfig;
  if (error.code === "unavailable") return exitCodes.unavailable;
  return exitCodes.other;
}

/** What a person may be told of any error: our own sentence, or that something unexpected happened. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
