import { formatAddress, parseAddress } from "../../shared/address.ts";
import type { FoundFailure } from "./found-failure.ts";

/** All addresses of a host name, v4 and v6; empty when there are none. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

/** Addresses one name may stand for. Whoever owns the name chooses them, so it must not become a list of bans. */
const addressesMax = 8;
/** fail2ban's numbers: how long an answer is kept, and how many. */
const answerMs = 5 * 60_000;
const answersMax = 1000;

/**
 * Turns a failure that only names a host into one per address of the host; any other comes back as it is.
 * Names are the peer's own choice (he owns the reverse zone), so this is for jails whose `usedns` demands it.
 */
export async function resolveFailure(failure: FoundFailure, resolve: ResolveName): Promise<readonly FoundFailure[]> {
  if (failure.name === null) return [failure];
  const answers = await resolve(failure.name);
  const addresses = answers.flatMap((text) => {
    const net = parseAddress(text);
    return net === undefined ? [] : [formatAddress(net)];
  });
  return [...new Set(addresses)].slice(0, addressesMax).map((ip) => ({ ...failure, id: ip, ip, name: null }));
}

/** Remembers answers, also empty ones and errors, so that a flood of lines does not become a flood of queries. */
export function cachedResolver(resolve: ResolveName, now: () => number): ResolveName {
  const answers = new Map<string, { answer: Promise<readonly string[]>; untilMs: number }>();
  return (name) => {
    const known = answers.get(name);
    if (known !== undefined && known.untilMs > now()) return known.answer;
    answers.delete(name);
    if (answers.size >= answersMax) {
      for (const oldest of answers.keys()) {
        answers.delete(oldest);
        break;
      }
    }
    const answer = resolve(name).catch(() => []);
    answers.set(name, { answer, untilMs: now() + answerMs });
    return answer;
  };
}
