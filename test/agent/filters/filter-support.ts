import { compileFilter } from "../../../agent/filters/compile-filter.ts";
import type { FoundFailure, LineClock, Outcome } from "../../../agent/filters/found-failure.ts";
import type { Filter } from "../../../agent/filters/match-line.ts";
import type { FilterSettings, UseDns } from "../../../agent/settings/jail-settings.ts";

/** 2026-03-01T12:00:00Z, when the tests' lines are logged. */
export const noonMs = Date.UTC(2026, 2, 1, 12);
export const noon = "2026-03-01T12:00:00Z";

export function clockAt(nowMs: number, mode: LineClock["mode"] = "any"): LineClock {
  return { nowMs, mode, findTimeMs: 600_000 };
}

/** A filter of these settings; what is not said is empty. */
export function filterOf(
  settings: Partial<FilterSettings>,
  useDns: UseDns = "no",
  timezone: string | null = "UTC",
): Filter {
  const empty = {
    name: "test",
    prefRegex: null,
    failRegex: [],
    ignoreRegex: [],
    datePattern: null,
    maxLines: 1,
    dateless: false,
  };
  return compileFilter({ ...empty, ...settings }, { useDns, timezone });
}

/** The only failure of an outcome, or undefined. */
export function failureOf(outcome: Outcome): FoundFailure | undefined {
  return outcome.kind === "failure" ? outcome.failure : undefined;
}
