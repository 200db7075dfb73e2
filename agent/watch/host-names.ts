import { lookup } from "node:dns/promises";
import { secondMs } from "../../shared/durations.ts";
import type { FoundFailure } from "../filters/found-failure.ts";
import { cachedResolver, resolveFailure } from "../filters/resolve-names.ts";
import { monotonicMs } from "../monotonic.ts";
import type { UseDns } from "../settings/jail-settings.ts";

/** A resolver that hangs must not hold up the log. */
const lookupTimeoutMs = 5 * secondMs;

/** The addresses of a name; none when it has none or the resolver does not answer in time. Answers are kept. */
export const addressesOf = cachedResolver(lookupInTime, monotonicMs);

/**
 * A failure of a name as failures of its addresses, if the jail resolves names; none when it does not or cannot. Whoever
 * owns a name decides where it points, so jails do this only when their configuration says so.
 */
export async function namesOf(found: FoundFailure, useDns: UseDns): Promise<readonly FoundFailure[]> {
  if (found.name === null || useDns === "raw") return [found];
  return useDns === "no" ? [] : await resolveFailure(found, addressesOf);
}

async function lookupInTime(name: string): Promise<readonly string[]> {
  const timeout = Promise.withResolvers<readonly string[]>();
  const timer = setTimeout(() => timeout.resolve([]), lookupTimeoutMs);
  const asked = lookup(name, { all: true }).then((answers) => answers.map(({ address }) => address));
  try {
    return await Promise.race([asked, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
