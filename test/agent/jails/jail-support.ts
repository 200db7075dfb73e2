import type { FoundFailure } from "../../../agent/filters/found-failure.ts";
import type { JailRules } from "../../../agent/jails/jail.ts";
import type { BanTimeIncrement } from "../../../agent/settings/jail-settings.ts";

export const secondMs = 1000;

export const rulesOf = (changes: Partial<JailRules> = {}): JailRules => ({
  name: "sshd",
  maxRetry: 3,
  maxMatches: 3,
  findTimeMs: 600 * secondMs,
  banTimeMs: 600 * secondMs,
  increment: null,
  ...changes,
});

export const increment = (changes: Partial<BanTimeIncrement> = {}): BanTimeIncrement => ({
  factor: null,
  formula: null,
  multipliers: null,
  maxTimeMs: null,
  randomMs: 0,
  overAllJails: false,
  ...changes,
});

export const failedAt = (seconds: number, id = "192.0.2.1", line = `line ${seconds}`): FoundFailure => ({
  id,
  ip: id,
  name: null,
  atMs: seconds * secondMs,
  user: null,
  users: null,
  count: 1,
  lines: [line],
  data: new Map(),
});

/** An ignore list that spares nobody. */
export const sparesNobody = { check: () => ({ kind: "not-ignored" }) as const, remember: () => undefined };
